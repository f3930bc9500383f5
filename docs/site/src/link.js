// A text in the fragment of an address: compressed, in base64 for addresses.
const MOST = 300_000;  // characters of a text that a link may bring

async function through(bytes, stream) {
  const response = new Response(new Blob([bytes]).stream().pipeThrough(stream));
  return new Uint8Array(await response.arrayBuffer());
}

export async function fragment(text) {
  const bytes = await through(new TextEncoder().encode(text), new CompressionStream("deflate-raw"));
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return `#${btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

/** The text of a fragment; "" where it is none, or too long. */
export async function textOf(hash) {
  if (hash.length < 2 || hash.length > MOST) return "";
  try {
    const binary = atob(hash.slice(1).replaceAll("-", "+").replaceAll("_", "/"));
    const reader = new Blob([Uint8Array.from(binary, (c) => c.charCodeAt(0))]).stream()
      .pipeThrough(new DecompressionStream("deflate-raw")).getReader();
    const parts = [];
    for (let size = 0; ;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > MOST) return "";
      parts.push(value);
    }
    return await new Blob(parts).text();
  } catch {
    return "";
  }
}
