"""Random prototxt files: sound nets in every way of writing them, and broken texts."""

from __future__ import annotations

import random

NAMES = (
    *("conv{i}", "fire{b}/squeeze{i}", "res{b}a_branch{i}", "block_{b}_{i}", "conv{b}_{i}/dw", ""),
    *(
        "inception_{b}a/1x1",
        "{i}",
        "1x1_{i}",
        "Convolution{i}",
        "layer {i}",
        "net",
        "input",
        "relu_{i}",
    ),
    *(
        "if",
        "größe{i}",
        "层{i}",
        "a.b-{i}",
        "conv_1",
        "relu_1",
        "x",
        "data",
        "classes",
        "i",
        "concat_{i}",
    ),
    *(
        "a/b/c/d{i}",
        "a\\\\b{i}",
        "concat_1",
        "conv1_relu",
        "_",
        "-",
        "{b}/{i}",
        "output",
        "filters",
    ),
)
V1 = {
    "Convolution": "CONVOLUTION",
    "ReLU": "RELU",
    "Pooling": "POOLING",
    "InnerProduct": "INNER_PRODUCT",
    "Concat": "CONCAT",
    "Eltwise": "ELTWISE",
    "Dropout": "6",
    "Softmax": "SOFTMAX",
    "LRN": "15",
}


class Maker:
    """One random net; the same seed gives the same text."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.old = self.r.random() < 0.2
        self.blobs: list[tuple[str, tuple[int, ...]]] = []
        self.lines: list[str] = []
        self.count = 0
        self.params = 0
        self.style = self.r.choice(NAMES)

    def net(self) -> str:
        r = self.r
        shape = (r.choice((1, 3, 4, 8)), r.randint(4, 20), r.randint(4, 20))
        name = r.choice(('"net"', "'a-b'", '"ResNet-" "50"', '""', r'"\x41\n"', '"0"', '"if"'))
        self.lines.append(f"name: {name}")
        dims = (r.randint(1, 10), *shape)
        if r.random() < 0.5:
            self.lines.append('input: "data"\n' + "".join(f"input_dim: {d} " for d in dims))
        elif r.random() < 0.5 or self.old:
            sizes = " ".join(f"dim: {d}" for d in dims)
            self.lines.append(f'input: "data" input_shape {{ {sizes} }}')
        else:
            sizes = ", ".join(str(d) for d in dims)
            param = f"input_param {{ shape: {{ dim: [{sizes}] }} }}"
            self.lines.append(f'layer {{ name: "data" type: "Input" top: "data" {param} }}')
        self.blobs.append(("data", shape))
        for _ in range(r.choice((1, 3, 8, 25))):
            self.grow()
        return "\n".join(self.lines)

    # --- layers ----------------------------------------------------------------------------------

    def grow(self) -> None:
        r = self.r
        if r.random() < 0.3 and len(self.lines) > 4:
            self.block(r.randint(2, 4))
            return
        name, shape = self.blobs[-1] if r.random() < 0.8 else r.choice(self.blobs)
        self.any_layer(name, shape)

    def any_layer(self, bottom: str, shape: tuple[int, ...]) -> str:
        r = self.r
        if len(shape) == 1:
            kind = r.choice(("InnerProduct", "ReLU", "Dropout", "Softmax", "Concat"))
        else:
            kind = r.choice(
                ("Convolution", "Convolution", "ReLU", "Pooling", "BatchNorm", "Scale", "LRN")
                + ("Dropout", "Eltwise", "Concat", "InnerProduct", "PReLU", "Sigmoid", "Flatten")
            )
        return str(getattr(self, f"_{kind.lower()}")(bottom, shape))

    def block(self, times: int) -> None:
        """The same few layers several times, with names that tell so."""
        r = self.r
        name, shape = self.blobs[-1]
        if len(shape) == 1:
            return
        prefix = r.choice(("fire{}/", "res{}_", "b{}.", "conv2_{}/", "inception_{}a/"))
        kind = r.choice(("concat", "add", "chain"))
        filters = [r.choice((4, 8, 16)) for _ in range(times)]
        for i in range(times):
            own = prefix.format(i + 2)
            x, inner = name, shape
            first = self._convolution(x, inner, filters[i], 1, own + "squeeze")
            shape = (filters[i], *shape[1:])
            self._relu(first, shape, own + "relu")
            if kind == "chain":
                name = self._convolution(first, shape, 2 * filters[i], 1, own + "sep")
                shape = (2 * filters[i], *shape[1:])
                continue
            second = self._convolution(first, shape, filters[i], 3, own + "expand")
            if kind == "concat":
                name = self._join(
                    "Concat", [first, second], (2 * filters[i], *shape[1:]), own + "out"
                )
                shape = (2 * filters[i], *shape[1:])
            else:
                short = x
                if inner != shape:
                    short = self._convolution(x, inner, filters[i], 1, own + "short")
                name = self._join("Eltwise", [short, second], shape, own.rstrip("/_."))

    def _convolution(
        self, bottom: str, shape: tuple[int, ...], filters: int = 0, size: int = 0, name: str = ""
    ) -> str:
        r = self.r
        channels, height, width = shape
        count = filters or r.choice((1, 3, 4, 8))
        kernel = size or r.choice([k for k in (1, 2, 3, 5) if k <= min(height, width)])
        pad = kernel // 2 if size else r.randint(0, kernel // 2)
        stride = 1 if size else r.choice((1, 1, 2))
        group = (
            1
            if size or r.random() < 0.7
            else r.choice([g for g in (1, channels) if count % g == 0])
        )
        bias = r.random() < 0.7
        fields = [f"num_output: {count}", f"group: {group}"]
        fields += r.choice(
            ([f"kernel_size: {kernel}"], [f"kernel_h: {kernel}", f"kernel_w: {kernel}"])
        )
        fields += [f"pad: {pad}", f"stride: {stride}"]
        fields.append(
            f"bias_term: {r.choice(('true', 't', '1', 'True') if bias else ('false', 'f', '0'))}"
        )
        fields.append("weight_filler { type: 'xavier' std: .01 } engine: CAFFE")
        r.shuffle(fields)
        self.params += count * (channels // group) * kernel * kernel + bias * count
        out = [(n + 2 * pad - kernel) // stride + 1 for n in (height, width)]
        return self._add(
            "Convolution",
            [bottom],
            (count, *out),
            f"convolution_param {{ {' '.join(fields)} }}",
            name,
        )

    def _innerproduct(self, bottom: str, shape: tuple[int, ...]) -> str:
        units = self.r.choice((1, 5, 10))
        features = 1
        for d in shape:
            features *= d
        self.params += units * features + units
        return self._add(
            "InnerProduct", [bottom], (units,), f"inner_product_param < num_output: {units} >"
        )

    def _pooling(self, bottom: str, shape: tuple[int, ...]) -> str:
        r = self.r
        kind = r.choice(("MAX", "AVE", "0", "1"))
        if r.random() < 0.3:
            params = f"pooling_param {{ pool: {kind} global_pooling: true }}"
            return self._add("Pooling", [bottom], (shape[0], 1, 1), params)
        kernel = r.choice([k for k in (1, 2, 3) if k <= min(shape[1:])])
        stride, pad = r.randint(1, kernel), r.randint(0, kernel - 1)
        out = []
        for n in shape[1:]:
            count = -(-(n + 2 * pad - kernel) // stride) + 1
            out.append(count - (pad > 0 and (count - 1) * stride >= n + pad))
        params = (
            f"pooling_param: {{ pool: {kind}; kernel_size: {kernel}, stride: {stride} pad: {pad} }}"
        )
        return self._add("Pooling", [bottom], (shape[0], *out), params)

    def _relu(self, bottom: str, shape: tuple[int, ...], name: str = "") -> str:
        return self._add("ReLU", [bottom], shape, "", name, in_place=self.r.random() < 0.8)

    def _dropout(self, bottom: str, shape: tuple[int, ...]) -> str:
        return self._add(
            "Dropout", [bottom], shape, "dropout_param { dropout_ratio: 4e-1 }", in_place=True
        )

    def _sigmoid(self, bottom: str, shape: tuple[int, ...]) -> str:
        return self._add("Sigmoid", [bottom], shape, in_place=self.r.random() < 0.5)

    def _prelu(self, bottom: str, shape: tuple[int, ...]) -> str:
        self.params += shape[0]
        return self._add("PReLU", [bottom], shape, in_place=self.r.random() < 0.5)

    def _softmax(self, bottom: str, shape: tuple[int, ...]) -> str:
        return self._add("Softmax", [bottom], shape)

    def _lrn(self, bottom: str, shape: tuple[int, ...]) -> str:
        return self._add("LRN", [bottom], shape, "lrn_param { local_size: 3 alpha: 5.e-05 }")

    def _batchnorm(self, bottom: str, shape: tuple[int, ...]) -> str:
        three = "param { lr_mult: 0 } " * 3
        top = self._add("BatchNorm", [bottom], shape, three, in_place=self.r.random() < 0.6)
        if self.r.random() < 0.8:
            return self._scale(top, shape)
        return top

    def _scale(self, bottom: str, shape: tuple[int, ...]) -> str:
        bias = self.r.random() < 0.7
        self.params += shape[0] * (1 + bias)
        params = f"scale_param {{ bias_term: {str(bias).lower()} }}"
        return self._add("Scale", [bottom], shape, params, in_place=self.r.random() < 0.6)

    def _flatten(self, bottom: str, shape: tuple[int, ...]) -> str:
        count = shape[0] * shape[1] * shape[2]
        return self._add("Flatten", [bottom], (count,))

    def _eltwise(self, bottom: str, shape: tuple[int, ...]) -> str:
        others = [n for n, s in self.blobs if s == shape]
        kind = self.r.choice(("SUM", "PROD", "MAX", "1"))
        params = f"eltwise_param {{ operation: {kind} }}"
        return self._add("Eltwise", [bottom, self.r.choice(others)], shape, params)

    def _concat(self, bottom: str, shape: tuple[int, ...]) -> str:
        name, other = self.r.choice(
            [(n, s) for n, s in self.blobs if s[1:] == shape[1:] and len(s) == len(shape)]
        )
        return self._join("Concat", [bottom, name], (shape[0] + other[0], *shape[1:]), "")

    def _join(self, kind: str, bottoms: list[str], shape: tuple[int, ...], name: str) -> str:
        return self._add(kind, bottoms, shape, "", name)

    def _add(
        self,
        kind: str,
        bottoms: list[str],
        shape: tuple[int, ...],
        params: str = "",
        name: str = "",
        in_place: bool = False,
    ) -> str:
        r = self.r
        self.count += 1
        name = name or self.style.format(i=self.count, b=self.count // 3)
        # An in-place layer gives a new value to all that follows.
        top = bottoms[0] if in_place and bottoms[0] != "data" else f"{name}_{self.count}"
        quote = r.choice("'\"")
        fields = [f"name: {quote}{name}{quote}", f'top: "{top}"', params]
        fields += [f'bottom: "{b}"' for b in bottoms]
        if r.random() < 0.1:
            fields.append("include { phase: TEST } include { phase: TRAIN }")
        old = self.old and kind in V1
        fields.append(f"type: {V1[kind]}" if old else f'type: "{kind}"')
        start = fields[: 3 + len(bottoms)]
        self.lines.append(
            f"{'layers' if old else 'layer'} {{ # {kind}\n  "
            + "\n  ".join([*start, *fields[len(start) :]])
            + "\n}"
        )
        self.blobs = [(n, s) for n, s in self.blobs if n != top] + [(top, shape)]
        return top


def broken(seed: int) -> str:
    """A sound text with a few characters, words or lines gone, doubled or exchanged."""
    r = random.Random(seed)
    text = Maker(seed // 7).net()
    for _ in range(r.randint(1, 4)):
        a, b = sorted(r.randrange(len(text) + 1) for _ in range(2))
        b = min(b, a + r.choice((1, 2, 8, 60)))
        what = r.random()
        if what < 0.4:
            text = text[:a] + text[b:]
        elif what < 0.6:
            text = text[:b] + text[a:b] + text[b:]
        elif what < 0.8:
            word = r.choice(
                (
                    "{",
                    "}",
                    '"',
                    "-1",
                    "0",
                    "99999999999999999999",
                    "1e999",
                    "nan",
                    ":",
                    "<",
                    "[",
                    "layer",
                )
                + (
                    "\\",
                    "dim: 0",
                    "\0",
                    "é",
                    "type: 'Pooling'",
                    "axis: -9",
                    "kernel_size: 0",
                    "stride: 0",
                )
            )
            text = text[:a] + word + text[a:]
        else:
            lines = text.splitlines()
            r.shuffle(lines)
            text = "\n".join(lines)
    return text
