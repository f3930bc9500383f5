"""netspec from Python: load a spec, compile it, build a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from netspec.diagnostics import Diagnostic, SpecError, spec_error
from netspec.diagnostics.source import Source
from netspec.driver import as_spec, check_each, find, weights_of
from netspec.driver import check as check_source
from netspec.ir import FlatLayer, Net
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops import Tensor
from netspec.syntax.model_source import ModelSource, is_model

if TYPE_CHECKING:
    from netspec.importers.convert import ConvertedSpec
    from netspec.metrics.compression import LayerRule
    from netspec.report.columns import NetView
    from netspec.report.diff import NetDiff
    from netspec.report.table import Grid
    from netspec.runtime.classify import Guess
    from netspec.runtime.verify import BackendComparison
    from netspec.training import TrainingResult
    from netspec.training.points import PointTraining

MOST_SHOWN = 300
"""Most lines of a net that `print` and a notebook show."""
Rules = float | Mapping[str, float]
"""A number for all layers, or numbers by pattern of their paths."""


@dataclass(frozen=True, repr=False)
class LoadedNet:
    """A checked network with its tables, called `netspec.Net`.

    It prints itself, and shows itself in a notebook, as a table of its lines. `ir` is the network
    as passes and backends take it, `spec` what it was loaded by, `source` its text.
    """

    ir: Net
    spec: str = ""
    source: Source | None = None

    @property
    def name(self) -> str:
        """The name that the spec gives the net."""
        return self.ir.name

    @property
    def doc(self) -> str:
        """The comment above the net, without its `#`."""
        return self.ir.doc

    @property
    def text(self) -> str:
        """The text of the spec; of a model's file, that which `convert` gives."""
        if isinstance(self.source, ModelSource):
            return as_spec(find(self.spec), self.ir.settings).source.text
        return self.source.text if self.source is not None else self.ir_text()

    @property
    def weights(self) -> dict[str, Any]:
        """The arrays of the module or the model's file that the net is from. Raises SpecError."""
        found = self.ir.origins
        return {n: found[n].read() for n in self.ir.tensors if hasattr(found.get(n), "read")}

    @property
    def params(self) -> int:
        """Learnable parameters."""
        return int(self.ir.params)

    @property
    def macs(self) -> int:
        """Multiplications of convolutions and linear layers, for batch 1."""
        return int(self.ir.macs)

    @property
    def layers(self) -> tuple[FlatLayer, ...]:
        """Every layer, in order of execution."""
        return self.ir.layers

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """Every tensor, weights and statistics, by its name in weight files."""
        return self.ir.tensors

    def table(
        self,
        depth: int | None = None,
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        *,
        count: str = "netspec",
        sparsity: Rules | None = None,
        bits: Rules | None = None,
    ) -> list[dict[str, Any]]:
        """A row for each layer: a dict of its metrics, as docs/figures.md defines them.

        `depth` folds modules (1: the lines of the net), `columns` and `sort` are names of columns,
        `count` another tool's counting. `sparsity` and `bits` are a number for all weights, or
        numbers by pattern of layers (`{"fire*.expand3x3": 0.67}`; the last that fits counts).
        Raises SpecError for names that there are not.
        """
        from netspec.report.formats import python_value
        from netspec.report.options import column
        from netspec.report.table import grid

        view = _view(self.ir, count, sparsity, bits)
        keys = [column(name) for name in columns] if columns is not None else None
        found = grid(view, depth, keys, column(sort) if sort else None)
        names = [c.key for c in found.columns]
        return [dict(zip(names, map(python_value, row), strict=True)) for row in found.cells]

    def training_memory(
        self,
        batch: int | None = None,
        optimizer: str | None = None,
        momentum: float | None = None,
        freeze: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Bytes that an iteration of training takes with PyTorch in float32, as `table` shows them.

        The keys are those of `netspec table --training --format json`: `parameters`, `gradients`,
        `optimizer_state`, `activations` (kept for the backward pass), and `peak`, the most that is
        alive at once. What is not given is as the net's `train` block says, else a batch of 1 and
        sgd with momentum; `freeze` are patterns of layers that stay as they are. Raises SpecError
        for an optimizer that there is not, and a pattern that no layer matches.
        """
        from netspec.metrics.training_memory import training_memory
        from netspec.report.options import training_plan

        plan = training_plan(self.ir, batch, optimizer, momentum, freeze)
        return training_memory(self.ir, plan).data()

    def to_pandas(self, *args: Any, **options: Any) -> Any:
        """The rows of `table` as a pandas.DataFrame. Raises SpecError without pandas."""
        try:
            import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            message = "to_pandas needs the package pandas"
            raise spec_error("missing-package", message) from None
        return pandas.DataFrame(self.table(*args, **options))

    def ir_text(self) -> str:
        """The program and the blocks of the net, as `netspec ir` prints them."""
        from netspec.ir.printer import text
        from netspec.ir.program_text import program_text

        return program_text(self.ir) + text(self.ir)

    def __repr__(self) -> str:
        """The net in a line: its name, shapes and parameters."""
        from netspec.report.table import shapes

        return f"<netspec.Net {self.name}: {shapes(self.ir)}, {self.params:,} parameters>"

    def __str__(self) -> str:
        """The table of the net's lines, as `print(net)` shows it."""
        from netspec.report.formats import text

        return text(self._lines()).rstrip("\n")

    def _repr_html_(self) -> str:
        """The table of the net's lines, for notebooks."""
        from netspec.report.html import html_table

        return html_table(self._lines())

    def _lines(self) -> Grid:
        from netspec.report.columns import NetView
        from netspec.report.table import grid

        few = len(self.ir.body.nodes) <= MOST_SHOWN
        return grid(NetView(self.ir), 1 if few else 0)


def _view(net: Net, count: str, sparsity: Rules | None, bits: Rules | None) -> NetView:
    from netspec.report.columns import NetView
    from netspec.report.options import compression_of, convention

    plan = compression_of(net, _rules(sparsity), _rules(bits))
    return NetView(net, convention(count), plan)


def _rules(given: Rules | None) -> list[LayerRule]:
    from netspec.metrics.compression import LayerRule

    if given is None:
        return []
    if not isinstance(given, Mapping):
        given = {"*": given}
    # What a number reads like, not what its binary digits come to.
    return [LayerRule(pattern, Fraction(str(number))) for pattern, number in given.items()]


def load(spec: str | Path, /, **parameters: Any) -> LoadedNet:
    """A checked net, from a path, `-` for standard input, or the name of a bundled spec.

    `"family.net:resnet34"` is one of the nets of a file. Keyword arguments set the net's
    parameters. Raises SpecError with all that is wrong.
    """
    source, base, name = find(str(spec))
    net = check_source(source, base, parameters, net=name).sound()
    return LoadedNet(net, str(spec), source)


def from_torch(module: Any, input: Any, name: str | None = None) -> LoadedNet:
    """The net of a module of PyTorch, with its weights: modules, loops and names as it has them.

    `input` is an example tensor, batch in front, or a shape without the batch such as
    `(3, 224, 224)`; for several inputs a list of these. `name` is the net's (else the module's
    class). `torch.export` traces the module in `eval` mode; it is left as it was. The spec is
    `net.text`, its arrays `net.weights` (the module's own numbers where these are float32 on the
    CPU); `build(net)` gives a model with these weights, `compile(net)` source. Needs torch.
    Raises SpecError where the module can't be traced or expressed, TypeError for what is none.
    """
    from netspec.conversion.convert import converted_module

    result = converted_module(module, input, name)
    text = Source(f"{result.name}.net", result.text)
    net = check_source(text, None, {}).sound()
    return LoadedNet(replace(net, origins=result.stored), result.name, text)


def load_all(spec: str | Path, /, **parameters: Any) -> tuple[LoadedNet, ...]:
    """All nets of a spec, checked; a parameter is set in those that have it. Raises SpecError."""
    nets = check_each(str(spec), parameters).sound()
    several = len(nets) > 1
    source = find(str(spec)).source if str(spec) != "-" else None
    return tuple(LoadedNet(n, f"{spec}:{n.name}" if several else str(spec), source) for n in nets)


def check(spec: str | Path, /, **parameters: Any) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a spec, warnings too, as `netspec check` shows it."""
    try:
        return check_each(str(spec), parameters, needs_net=False).diagnostics
    except SpecError as error:
        return error.diagnostics


Spec = LoadedNet | Net | str | Path
"""What functions take for a net: one that is loaded, or a path or name, as `load` takes it."""


def _loaded(net: Spec, parameters: Mapping[str, Any]) -> LoadedNet:
    if isinstance(net, str | Path):
        return load(net, **parameters)
    if parameters:
        message = f"a net that is loaded takes no parameters: {', '.join(parameters)}"
        raise TypeError(message)
    return net if isinstance(net, LoadedNet) else LoadedNet(net)


# --- models --------------------------------------------------------------------------------------


def compile(
    net: Spec,
    backend: str = "torch",
    *,
    probabilities: bool = False,
    names: str | None = None,
    nsz: bool = False,
    **parameters: Any,
) -> str:
    """The source of a Python module with the net's model.

    A PyTorch model gives logits when called, and the spec's outputs by `predict`; with
    `probabilities`, the spec's outputs by both. `names` are those of the weights: `torchvision`'s,
    or those of a `FILE.names`. With `nsz`, the model loads compressed weights too. A net that is
    named by path or name takes its parameters as keyword arguments. Raises SpecError.
    """
    from netspec.codegen.backend import emit, get

    given = _loaded(net, parameters)
    compiled = given.ir
    if names is not None:
        from netspec.weights import NameMaps

        compiled = NameMaps(compiled, given.spec).renamed(names).net
    return emit(compiled, get(backend), probabilities, nsz)


def build(
    net: Spec,
    backend: str = "numpy",
    weights: Weights | None = None,
    *,
    probabilities: bool = False,
    **parameters: Any,
) -> Any:
    """The net's model, ready to call on float32 inputs of shape (N, C, H, W).

    A PyTorch model gives logits when called, and the spec's outputs by `predict`; with
    `probabilities`, the spec's outputs by both. A NumPy, C or ONNX model gives the spec's outputs.
    `weights` are a file under the net's names or those of a library, or arrays by name; without,
    they are those of the module or the model's file that the net is from, else fresh. Raises
    SpecError where the weights are not those of the net.
    """
    from netspec.codegen.backend import MakesFiles, get, load_model

    given, chosen = _loaded(net, parameters), get(backend)
    if weights is None:
        weights = given.spec if is_model(Path(given.spec)) else given.weights or None
    model = load_model(given.ir, chosen, probabilities)
    if weights is not None:
        chosen.set_weights(model, match_weights(given, weights))
    elif isinstance(chosen, MakesFiles):
        from netspec.weights import fresh

        chosen.set_weights(model, fresh(given.ir.tensors))
    return model


def classify(
    net: Spec,
    images: str | Path | Sequence[str | Path],
    weights: Weights | None = None,
    *,
    labels: Sequence[str] | str | Path | None = None,
    backend: str = "numpy",
    top: int = 5,
    **parameters: Any,
) -> dict[str, list[Guess]]:
    """The best guesses for each picture, by its path; folders stand for the pictures in them.

    `net` may also be the `.safetensors` file of a training, which has its spec inside.
    `labels` are the names of the classes, or a file with one a line; without, those that the
    weights were trained on. Without `weights`, those that come with a bundled spec. Raises
    SpecError.
    """
    from netspec.codegen.backend import get
    from netspec.runtime.classify import Classifier, class_count, pictures, read_labels
    from netspec.weights.trained import TrainedWeights, as_trained, checked, read_trained

    name = str(net) if isinstance(net, str | Path) else _loaded(net, {}).spec
    found = weights if weights is not None else weights_of(name)
    if found is None:
        raise spec_error("bad-weights", f"{name} comes without weights")
    trained = TrainedWeights()
    if isinstance(found, str | Path):
        trained = read_trained(Path(found))
        if isinstance(net, str | Path):
            net, parameters = checked(name, parameters, Path(found), trained).sound(), {}
    given = _loaded(net, parameters)
    ready = as_trained(given.ir, trained)
    classes = class_count(ready)
    if isinstance(labels, str | Path):
        labels = read_labels(Path(labels), classes)
    elif labels is None and len(trained.classes) == classes:
        labels = trained.classes
    guess = Classifier(ready, get(backend), match_weights(ready, found), labels, top)
    paths = [images] if isinstance(images, str | Path) else images
    return {path: guess(Path(path)) for path in pictures(map(str, paths))}


def verify(
    net: Spec,
    weights: Weights | None = None,
    *,
    backends: Sequence[str] = ("torch", "numpy"),
    seed: int = 0,
    **parameters: Any,
) -> tuple[BackendComparison, ...]:
    """The first backend compared with each other one, layer by layer, on the same random inputs.

    Without `weights`, those that came with the net, else random ones. Raises SpecError where two
    differ by more than rounding.
    """
    from netspec.codegen.backend import get
    from netspec.runtime.verify import verified
    from netspec.weights import fresh

    given = _loaded(net, parameters)
    first, *others = map(get, backends)
    if weights is None:
        weights = given.weights or None
    if weights is None:
        arrays: Mapping[str, Any] = fresh(given.ir.tensors, seed, varied=True)
    else:
        arrays = match_weights(given, weights)
    return tuple(verified(given.ir, first, o, arrays, seed).comparison for o in others)


def train(
    net: Spec,
    data: str | Path,
    out: str | Path,
    *,
    recipe: Mapping[str, Any] | None = None,
    weights: Weights | None = None,
    partial: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    **options: Any,
) -> TrainingResult:
    """Train a net on a folder of pictures or an `.npz` file, and write what `netspec train` does.

    `out` is the folder for weights, metrics and checkpoints; a run that is there is gone on with.
    `recipe` sets fields of the spec's `train` block (`{"batch_size": 32}`), `weights` are those to
    begin with, but for the layers in `partial`. `options` are those of `netspec train`: `seed`,
    `every`, `accumulate`, `held_out`, `workers`, `device`, `precision`, `restart`, `quiet`,
    `on_bad`, `freeze`, `lr_mult` (pairs of a pattern and a factor), `tensorboard`. Needs torch.
    Raises SpecError.
    """
    from netspec.semantic.settings import texts_of
    from netspec.training import TrainingOptions
    from netspec.training import train as run
    from netspec.training.overrides import recipe as with_fields

    given = _loaded(net, parameters or {})
    training = with_fields(given.ir, list(texts_of(recipe or {}).items()))
    first = {} if weights is None else match_weights(given, weights, partial=partial)
    chosen = TrainingOptions(data=Path(data), out=Path(out), weights=first, **options)
    return run(given.ir, training, chosen)


# --- weights -------------------------------------------------------------------------------------

Weights = str | Path | Mapping[str, Any]
"""A weight file, or arrays by name."""


def read_weights(file: str | Path, key: str | None = None) -> dict[str, Any]:
    """The arrays of a `.npz`, `.safetensors`, `.nsz`, `.pt` or `.caffemodel` file by their names.

    `key` is the dict of tensors that is meant, in a `.pt` file with several. Raises SpecError.
    """
    from netspec.weights import read

    return read(Path(file), key)


def write_weights(file: str | Path, arrays: Mapping[str, Any]) -> None:
    """Write a `.npz`, `.safetensors`, `.nsz` or `.pt` file, whole or not at all.

    Raises SpecError.
    """
    from netspec.weights import write

    write(Path(file), arrays)


def match_weights(
    net: Spec,
    weights: Weights,
    *,
    partial: Sequence[str] = (),
    names: str | None = None,
    by: Literal["names", "anything"] = "names",
) -> dict[str, Any]:
    """The arrays of a net by its names, as float32 of its shapes.

    The weights may have the net's names or those of a library that the spec has a file of names
    for, or with `names` those of that library or `FILE.names`. With `by="anything"`, what no name
    decides is matched by position or shape, as `netspec weights convert` does. Layers in `partial`
    take nothing. Raises SpecError where the weights are not those of the net.
    """
    from netspec.weights import adapt, weights_for

    given = _loaded(net, {})
    if isinstance(weights, Mapping):
        adapted = adapt(
            weights, given.ir.tensors, "the given weights", given.name, partial=partial, by=by
        )
    else:
        adapted = weights_for(
            given.ir, given.spec, str(weights), partial=partial, by=by, names=names
        )
    return adapted.arrays


def compress(
    net: Spec,
    output: str | Path,
    weights: Weights | None = None,
    *,
    sparsity: float | Mapping[str, float] = 0.0,
    bits: int | Mapping[str, int] = 6,
    target: int | None = None,
    start: Literal["density", "linear"] = "density",
    exact: bool = False,
    **parameters: Any,
) -> dict[str, Any]:
    """Write weights, pruned and quantized, into a `.nsz` file; what `netspec compress` prints.

    `sparsity` and `bits` are numbers for all layers, or by patterns of their paths, of which a
    later one wins. `target` are bytes that the file may take. Without `weights`, those that come
    with a bundled spec. The sizes are bytes. Raises SpecError.
    """
    from netspec.compression import BITS, compressed, for_size
    from netspec.compression.table import data
    from netspec.report.options import compression_of
    from netspec.util.atomic_write import write_bytes

    given = _loaded(net, parameters)
    found = weights if weights is not None else weights_of(given.spec)
    if found is None:
        raise spec_error("bad-weights", f"{given.name} comes without weights")
    plan = compression_of(given.ir, _rules(sparsity), _rules(bits), BITS)
    assert plan is not None, "there are bits"
    arrays = match_weights(given, found)
    if target is not None:
        plan = for_size(given.ir, arrays, plan, target, start)
    made = compressed(given.ir, arrays, plan, start, exact)
    sizes: dict[str, int] = {}
    content = made.content(given.name, sizes=sizes)
    write_bytes(Path(output), content)
    return data(given.ir, made, len(content), sizes)


# --- texts and pictures --------------------------------------------------------------------------


def format_text(text: str) -> str:
    """The text of a spec in canonical layout, its comments kept. Raises SpecError."""
    from netspec.syntax.formatter import format_text as format_

    return format_(text)


def annotate(spec: str | Path, /, **parameters: Any) -> str:
    """The text of a spec with shapes, parameters and MACs behind each line. Raises SpecError."""
    from netspec.report.annotate import annotate as annotated

    given = load(spec, **parameters)
    if isinstance(given.source, ModelSource):
        text = as_spec(find(str(spec)), parameters).source
        given = replace(given, ir=check_source(text, None, {}).sound(), source=text)
    assert given.source is not None, "a net that is loaded has a text"
    return annotated(given.source.text, given.ir, given.source)


def convert(
    file: str | Path,
    /,
    solver: str | Path | None = None,
    *,
    phase: str = "TEST",
    stages: Sequence[str] = (),
    inputs: Mapping[str, Sequence[int]] | Sequence[int] = (),
    until: Sequence[str] = (),
    check: bool = False,
    **parameters: Any,
) -> ConvertedSpec:
    """The spec of a file of Caffe, Darknet, ONNX, PyTorch or Keras, and what was found there.

    `"torchvision.models:resnet18"` is a module of PyTorch, whose code is imported and called.
    `inputs` are shapes of inputs by name, or that of the only one; other arguments as for
    `netspec convert`. With `check`, the file is run beside the spec. Raises SpecError.
    """
    from netspec.conversion.convert import converted_file

    shapes = inputs if isinstance(inputs, Mapping) else {"": inputs} if inputs else {}
    reading = {f"stage:{name}": "true" for name in stages}
    reading |= {f"until:{name}": "true" for name in until}
    reading |= {f"input:{n}": "x".join(map(str, s)) for n, s in shapes.items()}
    return converted_file(file, solver, parameters, {**reading, "phase": phase}, check)


def graph(
    net: Spec,
    format: Literal["svg", "png", "dot", "html"] = "svg",
    *,
    depth: int | None = None,
    direction: Literal["down", "right"] = "down",
    cost: Literal["macs", "params"] = "macs",
    layout: Literal["own", "dot"] = "own",
    **parameters: Any,
) -> str | bytes:
    """A picture of a net, as `netspec graph` draws it: bytes of a png, else text. Raises SpecError.

    `depth` opens modules down to this level, `cost` makes boxes wide.
    """
    from netspec.diagram.draw import draw
    from netspec.diagram.scene import DiagramOptions

    given = _loaded(net, parameters)
    source = given.source or Source(given.name, "")
    content = draw(given.ir, source, format, DiagramOptions(depth, direction, cost, layout))
    return content if format == "png" else content.decode("utf-8")


def diff(before: Spec, after: Spec) -> NetDiff:
    """What changed between two nets, layer by layer. It prints itself; `data()` is plain data.

    Raises SpecError for a spec that has errors.
    """
    from netspec.report.diff import difference

    return difference(_loaded(before, {}).ir, _loaded(after, {}).ir)


# --- design spaces -------------------------------------------------------------------------------


def sweep(
    spec: str | Path,
    values: Mapping[str, Sequence[Any]],
    *,
    sample: int | None = None,
    seed: int = 0,
    jobs: int | None = 1,
    output: str | Path | None = None,
    data: str | Path | None = None,
    recipe: Mapping[str, Any] | None = None,
    runs: str | Path | None = None,
    ray: str | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """The metrics of every combination of parameter values, or of `sample` of them at random.

    A dict for each: `net`, `settings`, and `params`, `macs`, `size`, `activations` (bytes as
    float32), or `error`. `jobs` is the number of processes, None one for each processor (in a
    script, below `if __name__ == "__main__"`). `output` keeps results in a file, and takes from it
    what is there.

    With `data`, every net is trained as by `train`, with `recipe`, in a folder of `runs`
    (`NET-runs`) that is gone on with; dicts then have `accuracy`, `loss` and `iteration` of the
    best weights, held out, and `run`, the folder. `ray` is the address of a Ray cluster, `options`
    are those of `train`. Raises SpecError.
    """
    from netspec.explore import sweep as swept
    from netspec.explore.search_space import space_of

    prepared = swept.prepared(
        *(swept.spec(str(spec)), space_of(values), sample, seed, output, None),
        _point_training(data, recipe, runs, ray, seed, options),
    )
    return swept.run(prepared, jobs)


def search(
    spec: str | Path,
    values: Mapping[str, Sequence[Any]],
    *,
    minimize: str | None = None,
    maximize: str | None = None,
    where: Sequence[str] = (),
    top: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    jobs: int | None = 1,
    output: str | Path | None = None,
    data: str | Path | None = None,
    recipe: Mapping[str, Any] | None = None,
    runs: str | Path | None = None,
    ray: str | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """The combinations that meet all conditions, the best first, as `sweep` gives them.

    `minimize` or `maximize` is an expression of metrics and parameters, such as `"macs"`; `where`
    are conditions, such as `"params <= 1.25M"`. With `data`, nets are trained as by `sweep`, but
    for those that can't meet the conditions on their metrics; expressions may then use `accuracy`
    and `loss`. Raises SpecError where no combination meets the conditions.
    """
    from netspec.explore import sweep as swept
    from netspec.explore.search import goal
    from netspec.explore.search_space import space_of

    if (minimize is None) == (maximize is None):
        raise TypeError("give either minimize or maximize")
    aim = goal(minimize, maximize, where)
    prepared = swept.prepared(
        *(swept.spec(str(spec)), space_of(values), sample, seed, output, aim),
        _point_training(data, recipe, runs, ray, seed, options),
    )
    return aim.best(swept.run(prepared, jobs))[:top]


def _point_training(
    data: str | Path | None,
    recipe: Mapping[str, Any] | None,
    runs: str | Path | None,
    ray: str | None,
    seed: int,
    options: Mapping[str, Any],
) -> PointTraining | None:
    """How the nets of a sweep are trained; None without data, where nothing may be said of it."""
    if data is None:
        given = {"recipe": recipe, "runs": runs, "ray": ray, **options}
        for name, value in given.items():
            if value is not None:
                raise TypeError(f"{name} says how nets are trained: it goes with data")
        return None
    from netspec.semantic.settings import texts_of
    from netspec.training.points import PointTraining

    fields = tuple(texts_of(recipe or {}).items())
    folder = Path(runs) if runs is not None else None
    return PointTraining(Path(data), folder, fields, {"seed": seed, **options}, ray)
