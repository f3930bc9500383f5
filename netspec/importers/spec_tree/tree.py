"""A graph as a tree of the language, whose places are in the imported file."""

from __future__ import annotations

from netspec.diagnostics.source import Source, Span
from netspec.importers.spec_tree.expressions import field_value
from netspec.importers.spec_tree.module_writer import ModuleWriter
from netspec.importers.spec_tree.net_writer import NetWriter, net_inputs
from netspec.importers.spec_tree.shared_writer import NetLines, definition_of, nodes_in_order
from netspec.importers.structure.attributes import COUNTS, attribute_values
from netspec.importers.structure.chains import NodeChain, chains_of
from netspec.importers.structure.classifier import classifier_of
from netspec.importers.structure.graph import Graph, Node
from netspec.importers.structure.named_modules import named_modules
from netspec.importers.structure.names import identifier
from netspec.importers.structure.planned_modules import PlannedModule, planned_modules
from netspec.importers.structure.repeated_modules import repeated_modules
from netspec.importers.structure.shared_module import Multiple
from netspec.importers.structure.sharing import repeating_chains
from netspec.lazy_dataclasses import dataclass
from netspec.syntax.ast import Definition, File, Name, Param


@dataclass(frozen=True)
class SpecTree:
    """A file of the language, and the graph's nodes in the order of the spec's layers."""

    file: File
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class NetHeading:
    """What a net is called, what its doc comment says, and the file that it is from."""

    name: str
    doc: str
    source: Source


def plain_tree(graph: Graph, heading: NetHeading) -> SpecTree:
    """The tree of a graph, node for node: a net without modules and parameters."""
    return _tree(graph, heading, chains_of(graph), [], None)


def structured_tree(graph: Graph, heading: NetHeading, classifies: bool) -> SpecTree:
    """The tree of a graph, with modules for what repeats, and a parameter for the classes.

    `classifies` says that the file takes the outputs for classes, though it may have no softmax.
    """
    paths = graph.modules is not None and any("." in n.name for n in graph.nodes)
    if paths and all(n.shares is None for n in graph.nodes):
        return _tree_by_names(graph, heading, classifies)
    chains = repeating_chains(graph)
    modules = planned_modules(repeated_modules(chains, graph.outputs), heading.name)
    inside = {n for m in modules for i in m.instances for c in i.chains for n in c.nodes}
    classifier = classifier_of(graph, classifies)
    if classifier is not None:
        classifier = classifier.shares or classifier
    input_names = {identifier(given.name, "data") for given in graph.inputs}
    if classifier in inside or "classes" in input_names:
        classifier = None
    return _tree(graph, heading, chains, modules, classifier)


def _tree_by_names(graph: Graph, heading: NetHeading, classifies: bool) -> SpecTree:
    """The tree of a graph whose names are paths of modules."""
    file = Span(heading.source, 0, 0)
    modules, net = named_modules(graph, heading.name)
    inputs = net_inputs(graph)
    names = [statement.name.text for statement in inputs]
    classifier = classifier_of(graph, classifies)
    slots = [s for s, slot in enumerate(net.body.slots) if slot[0] and slot[0].node is classifier]
    params: tuple[Param, ...] = ()
    if slots and classifier is not None and "classes" not in names:
        count = next(n for n in attribute_values(classifier) if n in COUNTS)
        value = field_value(attribute_values(classifier)[count], count, classifier.span)
        params = (Param(Name("classes", classifier.span), value, classifier.span),)
        net.formulas[slots[-1], count] = Multiple("classes")
    writer = NetLines(net, names, graph)
    statements = [*inputs, *writer.write(), *writer.output(file)]
    definition = Definition(
        "net", Name(heading.name, file), params, tuple(statements), heading.doc, file
    )
    definitions = [*(definition_of(m) for m in modules), definition]
    nodes = tuple(nodes_in_order(net))
    return SpecTree(File(heading.source, tuple(definitions), ()), nodes)


def _tree(
    graph: Graph,
    heading: NetHeading,
    chains: list[NodeChain],
    modules: list[PlannedModule],
    classifier: Node | None,
) -> SpecTree:
    file = Span(heading.source, 0, 0)
    writer = NetWriter(graph, modules, classifier, file)
    statements = writer.net(chains)
    params: tuple[Param, ...] = ()
    if classifier is not None:
        count = next(
            (name, v) for name, v in attribute_values(classifier).items() if name in COUNTS
        )
        span = classifier.span
        params = (Param(Name("classes", span), field_value(count[1], count[0], span), span),)
    net = Definition("net", Name(heading.name, file), params, tuple(statements), heading.doc, file)
    in_order = sorted(modules, key=lambda m: min(i.first for i in m.instances))
    definitions = [ModuleWriter(module).definition() for module in in_order]
    return SpecTree(File(heading.source, (*definitions, net), ()), tuple(writer.nodes))
