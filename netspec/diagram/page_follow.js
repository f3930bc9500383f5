// Loads the page again when the file beside it names another version. That file is a script, since a
// page that was opened from a disk may load no other kind of file.
(() => {
  "use strict";
  const { file, version } = document.currentScript.dataset;
  window.netspecVersion = (now) => { if (now !== version) location.reload(); };
  setInterval(() => {
    const script = document.createElement("script");
    script.src = `${file}?${Date.now()}`;
    script.onload = script.onerror = () => script.remove();
    document.head.append(script);
  }, 500);
})();
