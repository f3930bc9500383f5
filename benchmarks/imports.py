"""Converts models of torchvision and timm into specs, and compares both.

    python benchmarks/imports.py [MODEL...] [--ways pt2 onnx onnx-old] [--only classification]
        [--again] [--all] [--summary] [--page]

Needs the extra `imports` (torchvision, timm). Every model gets random weights, is exported by
torch.export and by both ONNX exporters of PyTorch, and each file is converted. Compared are the
learned parameters with those that the file uses, the outputs of the emitted PyTorch and NumPy
models with the original's, and the text with its canonical layout. `--all` runs NumPy models of
any size too, which takes hours.

A model is tried in a process of its own, small ones first. What is found stands in
benchmarks/results/imports.json; what is there is not tried again without `--again`. `--page` writes
the table of docs/importing.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from math import inf, prod
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks/results/imports.json"
PAGE = ROOT / "docs/importing.md"
BEGIN, END = "<!-- table: benchmarks/imports.py --page -->", "<!-- end of table -->"

TIMM = """
resnet26t resnet50 resnet50d resnetrs50 resnext50_32x4d seresnet50 seresnext50_32x4d ecaresnet50t
skresnet18 resnest50d res2net50_26w_4s gcresnet50t legacy_senet154 resnetv2_50 resnetv2_50x1_bit
nf_resnet50 dm_nfnet_f0 eca_nfnet_l0 cspresnet50 cspdarknet53 cs3darknet_m densenet161 dla34 dla60
dpn68 vgg16 vgg16_bn repvgg_a0 repvgg_b0 mobileone_s0 mobilenetv1_100 mobilenetv2_100
mobilenetv3_small_100 mobilenetv3_large_100 mobilenetv4_conv_small mobilenetv4_conv_medium
mnasnet_100 semnasnet_100 fbnetc_100 spnasnet_100 hardcorenas_a lcnet_050 tinynet_a efficientnet_b0
efficientnet_lite0 tf_efficientnet_b0 efficientnetv2_rw_t tf_efficientnetv2_b0 mixnet_s ghostnet_100
ghostnetv2_100 rexnet_100 regnetx_002 regnety_002 regnetz_b16 convnext_tiny convnextv2_atto
convmixer_768_32 inception_next_tiny poolformer_s12 inception_v3 inception_v4 inception_resnet_v2
xception41 legacy_xception nasnetalarge pnasnet5large hrnet_w18_small selecsls42b ese_vovnet19b_dw
ese_vovnet39b hgnet_tiny starnet_s1 repvit_m1 fastvit_t8 repghostnet_100 edgenext_small mobilevit_s
efficientformer_l1 levit_128 vit_tiny_patch16_224 deit_small_patch16_224
swin_tiny_patch4_window7_224 mixer_s16_224 maxvit_tiny_rw_224 coat_tiny
"""
"""Popular models of timm; those of the last rows are transformers, which stay outside."""
WAYS = ("pt2", "onnx", "onnx-old")
TITLES = {"pt2": "torch.export", "onnx": "ONNX", "onnx-old": "ONNX, older exporter"}
KINDS = ("classification", "segmentation", "timm")
TOLERANCE = 1e-4
TORCH_MACS, NUMPY_MACS = 20e9, 2e9
"""Most multiplications of models that are run."""
SECONDS, MEMORY = 1500, 12 << 30
"""Limits of a model's process."""

Result = dict[str, Any]


# --- models --------------------------------------------------------------------------------------


def torchvision() -> Any:
    """The package; operators that it wants of its own library are declared where that is missing.

    That is so beside another build of PyTorch.
    """
    import torch

    try:
        return importlib.import_module("torchvision")
    except RuntimeError:
        for name in [n for n in sys.modules if n.startswith("torchvision")]:
            del sys.modules[name]
        make: Any = torch.library.Library
        library = make("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torchvision.library = library  # type: ignore[attr-defined]
        return importlib.import_module("torchvision")


def names() -> list[str]:
    """All models, `timm/` before the names of timm's."""
    models = torchvision().models
    found: list[str] = models.list_models(module=models)
    found += models.list_models(module=models.segmentation)
    return found + [f"timm/{name}" for name in TIMM.split()]


def kind(name: str) -> str:
    """What a model is for, or whose it is."""
    if name.startswith("timm/"):
        return "timm"
    inside = name.startswith(("deeplabv3", "fcn", "lraspp"))
    return "segmentation" if inside else "classification"


def module(name: str) -> Any:
    """A model with fresh weights, in eval mode."""
    if name.startswith("timm/"):
        torchvision()  # which timm imports
        timm = importlib.import_module("timm")
        made = timm.create_model(name.removeprefix("timm/"), pretrained=False)
    else:
        options: Result = {"weights_backbone": None} if kind(name) == "segmentation" else {}
        if name in ("googlenet", "inception_v3"):
            options["init_weights"] = False
        made = torchvision().models.get_model(name, weights=None, **options)
    return made.eval()


def image(name: str, model: Any) -> tuple[int, ...]:
    """The shape of the pictures that a model takes."""
    if name.startswith("timm/"):
        shape: tuple[int, ...] = tuple(model.default_cfg["input_size"])
        return shape
    side = 299 if name == "inception_v3" else 224
    return (3, side, side)


def sizes(wanted: Sequence[str]) -> dict[str, int]:
    """The parameters of models: those that torchvision states, or of one without memory."""
    import torch

    found = {}
    for name in wanted:
        if kind(name) == "timm":
            with torch.device("meta"):
                found[name] = sum(p.numel() for p in module(name).parameters())
        else:
            weights = torchvision().models.get_model_weights(name)
            found[name] = weights.DEFAULT.meta["num_params"]
    return found


def vary(model: Any, shape: Sequence[int]) -> None:
    """Give random numbers to what begins with equal ones, which would hide mistakes.

    The statistics of batch norms become those of random pictures: values that grow with every layer
    would enlarge rounding.
    """
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        tensors = [*model.named_parameters(), *model.named_buffers()]
        for name, p in tensors:
            if not p.is_floating_point() or not p.numel() or p.dim() == 0:
                continue
            first = p.flatten()[0]
            if not bool((p == first).all()):
                continue
            if name.endswith("running_mean") or float(first) == 0:
                p.normal_(0, 0.1)
            else:
                p.uniform_(0.5, 1.5)
                p.mul_(max(float(first), 0.1))
        norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
            norm.training = True
        model(torch.randn(2, *shape))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.training = False


# --- one model -----------------------------------------------------------------------------------


def exported(model: Any, x: Any, way: str, path: Path) -> int:
    """Write a model into a file; the learned parameters that it uses."""
    import torch

    if way == "pt2":
        program = torch.export.export(model, (x,))
        torch.export.save(program, path)
        used = {n.name for n in program.graph.nodes if n.op == "placeholder" and n.users}
        learned = program.graph_signature.inputs_to_parameters
        return sum(program.state_dict[p].numel() for n, p in learned.items() if n in used)
    torch.onnx.export(model, (x,), path, dynamo=way == "onnx", verbose=False)
    return learned_of_onnx(path)


def learned_of_onnx(path: Path) -> int:
    """The numbers that layers of an ONNX file have, without the statistics of batch norms."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    statistics = {n for x in graph.node if x.op_type == "BatchNormalization" for n in x.input[3:5]}
    used = {n for x in graph.node for n in x.input} - statistics
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    kept = [t for t in graph.initializer if t.name in used and t.data_type in floats]
    return sum(prod(t.dims) for t in kept if prod(t.dims) > 1)


def flat(result: Any) -> list[Any]:
    """The tensors of a model's result."""
    if isinstance(result, Mapping):
        result = list(result.values())
    return [t for r in result for t in flat(r)] if isinstance(result, list | tuple) else [result]


def apart(ours: Sequence[Any], theirs: Sequence[Any]) -> float:
    """The largest difference of outputs, relative to the largest value of each."""
    import numpy as np

    worst = 0.0 if len(ours) == len(theirs) else inf
    for a, b in zip(ours, theirs, strict=False):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        a = a.reshape(b.shape) if a.size == b.size else a
        if a.shape != b.shape or not np.isfinite(a).all():
            return inf
        worst = max(worst, float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)))
    return worst


def tried(name: str, ways: Sequence[str], everything: bool) -> Iterator[tuple[str, Result]]:
    """What is found of a model, one way after the other."""
    import torch

    model = module(name)
    shape = image(name, model)
    vary(model, shape)
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = [t.numpy() for t in flat(model(x))]
    model.requires_grad_(True)
    for way in ways:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"{name.replace('/', '_')}.{'pt2' if way == 'pt2' else 'onnx'}")
            start = time.process_time()
            found: Result = {}
            try:
                with torch.no_grad():
                    learned = exported(model, x, way, path)
                found["export_seconds"] = round(time.process_time() - start, 1)
            except Exception as error:
                yield way, {"export": _shortened(error)}
                continue
            yield way, found | converted(path, learned, x, expected, everything)


def converted(path: Path, learned: int, x: Any, expected: Any, everything: bool) -> Result:
    """What is found of an exported file."""
    import torch

    import netspec

    start = time.process_time()
    try:
        spec = netspec.convert(path)
    except netspec.SpecError as error:
        return {"error": _shortened(error.diagnostics[0].message)}
    except Exception as error:
        return {"error": _shortened(error), "crash": True}
    found: Result = {
        "seconds": round(time.process_time() - start, 1),
        "nodes": spec.nodes,
        "lines": spec.text.count("\n"),
        "modules": spec.modules,
        "loops": spec.loops,
        "formatted": netspec.format_text(spec.text) == spec.text,
    }
    try:
        text = path.with_suffix(".net")
        text.write_text(spec.text)
        net = netspec.load(text)
        found |= {"params": net.params, "learned": learned, "macs": net.macs}
        weights = spec.weights
        if everything or net.macs <= TORCH_MACS:
            model = netspec.build(net, backend="torch", weights=weights)
            with torch.inference_mode():
                found["torch"] = apart([t.numpy() for t in flat(model.eval()(x))], expected)
        if everything or net.macs <= NUMPY_MACS:
            model = netspec.build(net, backend="numpy", weights=weights)
            found["numpy"] = apart(flat(model(x.numpy())), expected)
    except Exception as error:
        found["error"] = _shortened(error)
    return found


def _shortened(what: object) -> str:
    text = what if isinstance(what, str) else f"{type(what).__name__}: {what}"
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:197]}..."


# --- all models ----------------------------------------------------------------------------------


def run(name: str, ways: Sequence[str], everything: bool) -> dict[str, Result]:
    """What is found of a model by a process of its own, with limits."""
    found: dict[str, Result] = {}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        # The packages are imported once; each would take as long as a small model does.
        process = os.fork()
        if not process:
            _child(name, ways, everything, out.fileno(), err.fileno())
        end = time.monotonic() + SECONDS
        ended, status = os.waitpid(process, os.WNOHANG)
        while not ended and time.monotonic() < end:
            time.sleep(0.1)
            ended, status = os.waitpid(process, os.WNOHANG)
        how = f"ended with status {os.waitstatus_to_exitcode(status)}"
        if not ended:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            how = f"took longer than {SECONDS} seconds"
        out.seek(0)
        err.seek(0)
        for line in out:
            if line.startswith('{"way"'):
                one = json.loads(line)
                found[one.pop("way")] = one
        last = [line.strip() for line in err if line.strip()][-1:]
        for way in ways:
            found.setdefault(way, {"export": _shortened(": ".join([how, *last]))})
    return found


def _child(name: str, ways: Sequence[str], everything: bool, out: int, err: int) -> NoReturn:
    """Try a model, with its results in one file and all else that is printed in another."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        os.dup2(out, 1)
        os.dup2(err, 2)
        one(name, ways, everything)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


@contextmanager
def _quiet() -> Iterator[None]:
    """Have what libraries print on standard error."""
    before = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)


def one(name: str, ways: Sequence[str], everything: bool) -> None:
    """Print what is found of a model, a line of JSON for each way."""
    warnings.simplefilter("ignore")
    results = tried(name, ways, everything)
    while True:
        with _quiet():
            result = next(results, None)
        if result is None:
            return
        print(json.dumps({"way": result[0], **result[1]}), flush=True)


def good(found: Result | None) -> bool:
    """Whether a file was converted and all that was compared agrees."""
    if not found or "lines" not in found or "error" in found:
        return False
    near = all(found.get(k, 0.0) <= TOLERANCE for k in ("torch", "numpy"))
    return near and bool(found["formatted"]) and found["params"] == found["learned"]


def problem(found: Result) -> str:
    """Why a file counts as not converted; empty where it does."""
    if good(found):
        return ""
    for key in ("export", "error"):
        if key in found:
            return f"{'not exported: ' if key == 'export' else ''}{found[key]}"
    for key in ("torch", "numpy"):
        if found.get(key, 0.0) > TOLERANCE:
            return f"{key} differs by {found[key]:.1e}"
    if found["params"] != found["learned"]:
        return f"{found['params']:,} parameters, not {found['learned']:,}"
    return "not formatted"


def summary(results: Mapping[str, Mapping[str, Result]]) -> list[str]:
    """Rows of Markdown: how many models of each kind come out, by every way."""
    rows = [f"| models | {' | '.join(TITLES[way] for way in WAYS)} |", "| --- |" + " --- |" * 3]
    for of in KINDS:
        chosen = [ways for name, ways in results.items() if kind(name) == of]
        label = {"timm": "timm"}.get(of, f"torchvision, {of}")
        cells = []
        for way in WAYS:
            there = [ways[way] for ways in chosen if way in ways]
            cells.append(f"{sum(map(good, there))} of {len(there)}" if there else "-")
        rows.append(f"| {label} | {' | '.join(cells)} |")
    return rows


def table(results: Mapping[str, Mapping[str, Result]]) -> list[str]:
    """Rows of Markdown: lines of the spec and nodes of the file, for every model and way."""
    rows = [
        f"| model | parameters | {' | '.join(TITLES[way] for way in WAYS)} |",
        "| --- | ---: |" + " --- |" * len(WAYS),
    ]
    for name in sorted(results, key=lambda n: (KINDS.index(kind(n)), n)):
        ways = results[name]
        # Batch norms that were folded are missing.
        params = max((r["params"] for r in ways.values() if "params" in r), default=0)
        cells = []
        for way in WAYS:
            found = ways.get(way)
            if found is None:
                cells.append("-")
            elif good(found):
                cells.append(f"{found['lines']} lines, {found['nodes']} nodes")
            else:
                cells.append(problem(found).replace("|", "\\|")[:90])
        rows.append(f"| `{name}` | {f'{params:,}' if params else '-'} | {' | '.join(cells)} |")
    return rows


def write_page(results: Mapping[str, Mapping[str, Result]]) -> None:
    """Put the tables between the marks of the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, behind = rest.partition(END)
    lines = [BEGIN, "", *summary(results), "", *table(results), "", END]
    PAGE.write_text(before + "\n".join(lines) + behind, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names, or patterns of names")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--most", type=int, default=400_000_000, help="parameters of a model")
    parser.add_argument("--again", action="store_true", help="also what is there")
    parser.add_argument("--failed", action="store_true", help="also what is there and not good")
    parser.add_argument("--all", action="store_true", help="run models of any size")
    parser.add_argument("--summary", action="store_true", help="show what is there")
    parser.add_argument("--page", action="store_true", help="write docs/importing.md")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(args.one, args.ways, args.all)
        return
    results: dict[str, dict[str, Result]] = {}
    if args.results.is_file():
        results = json.loads(args.results.read_text())
    if not (args.summary or args.page):
        import torch

        torch.set_num_threads(1)
        wanted = [
            name
            for name in names()
            if not args.models or any(fnmatch(name, m) for m in args.models)
            if args.only in (None, kind(name))
        ]
        for name, size in sorted(sizes(wanted).items(), key=lambda item: item[1]):
            if size > args.most:
                continue
            there = results.setdefault(name, {})
            ways = [
                way
                for way in args.ways
                if args.again or way not in there or (args.failed and not good(there[way]))
            ]
            if not ways:
                continue
            for way, found in run(name, ways, args.all).items():
                there[way] = found
                print(f"{name:34} {way:9} {_shown(found)}", flush=True)
            args.results.parent.mkdir(exist_ok=True)
            args.results.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    print("\n".join(summary(results)))
    if args.page:
        write_page(results)


def _shown(found: Result) -> str:
    if not good(found):
        return problem(found)
    near = ", ".join(f"{k} {found[k]:.0e}" for k in ("torch", "numpy") if k in found)
    return f"{found['lines']} lines of {found['nodes']} nodes, {found['params']:,}, {near}"


if __name__ == "__main__":
    main()
