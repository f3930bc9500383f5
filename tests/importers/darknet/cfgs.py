"""The networks of Darknet's repository, as their cfg files say them."""

from __future__ import annotations


def section(name: str, **options: object) -> str:
    lines = [f"{key}={value}" for key, value in options.items()]
    return "\n".join([f"[{name}]", *lines, ""])


def conv(filters: int, size: int, stride: int = 1, activation: str = "leaky", bn: int = 1) -> str:
    options = {"batch_normalize": 1} if bn else {}
    more = {"filters": filters, "size": size, "stride": stride, "pad": 1}
    return section("convolutional", **options, **more, activation=activation)


NET = section("net", batch=1, width=416, height=416, channels=3)
HEAD = conv(255, 1, activation="linear", bn=0)


def yolo(mask: str) -> str:
    anchors = "10,13,  16,30,  33,23,  30,61,  62,45,  59,119,  116,90,  156,198,  373,326"
    return section("yolo", mask=mask, anchors=anchors, classes=80, num=9)


def residuals(filters: int, count: int) -> str:
    """A halving and so many residuals of Darknet-53."""
    one = conv(filters // 2, 1) + conv(filters, 3) + "[shortcut]\nfrom=-3\nactivation=linear\n"
    return conv(filters, 3, 2) + one * count


def darknet53() -> str:
    stages = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))
    return conv(32, 3) + "".join(residuals(f, n) for f, n in stages)


def _head(filters: int, mask: str) -> str:
    pair = conv(filters, 1) + conv(2 * filters, 3)
    return pair * 3 + HEAD + yolo(mask)


def yolov3() -> str:
    """61,949,149 parameters: its .weights file has 62,001,757 numbers, with the statistics."""

    def between(filters: int, layer: int) -> str:
        up = section("route", layers=-4) + conv(filters, 1) + "[upsample]\nstride=2\n"
        return up + section("route", layers=f"-1, {layer}")

    heads = _head(512, "6,7,8") + between(256, 61) + _head(256, "3,4,5")
    return NET + darknet53() + heads + between(128, 36) + _head(128, "0,1,2")


def yolov3_tiny() -> str:
    pool = "[maxpool]\nsize=2\nstride=2\n"
    body = "".join(conv(f, 3) + pool for f in (16, 32, 64, 128, 256)) + conv(512, 3)
    body += "[maxpool]\nsize=2\nstride=1\n" + conv(1024, 3) + conv(256, 1) + conv(512, 3)
    body += HEAD + yolo("3,4,5") + section("route", layers=-4) + conv(128, 1)
    body += "[upsample]\nstride=2\n" + section("route", layers="-1, 8") + conv(256, 3)
    return NET + body + HEAD + yolo("0,1,2")
