"""Write the survey's networks as ONNX files with seeded random weights, through both exporters of torch.

Into FOLDER/torchscript and FOLDER/dynamo, by an interpreter that has torch, torchvision, timm, onnx and onnxscript; the
table was made with torch 2.13.0, torchvision 0.29.2, timm 1.0.31, onnx 1.23.2 and onnxscript 0.7.2:

python -m benchmarks.survey.export FOLDER [NAME ...]
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.torchvision_stand_in import stand_in

SEED = 0
EXPORTERS: dict[str, dict[str, Any]] = {
    "torchscript": {"dynamo": False, "opset_version": 17},
    "dynamo": {"dynamo": True, "external_data": False, "verbose": False},
}


def torchvision_model(name: str, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import torchvision

        return torchvision.models.get_model(name, weights=None, **options)

    return make


def timm_model(name: str, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import timm

        return timm.create_model(name, pretrained=False, **options)

    return make


class Maps(nn.Module):
    """The class scores of a segmentation network, which returns a dictionary."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x)["out"]


def segmentation(name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import torchvision

        return Maps(torchvision.models.segmentation.__dict__[name](weights=None, weights_backbone=None))

    return make


def twice(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions with BatchNorm and ReLU."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015) of three levels."""

    def __init__(self, bilinear: bool) -> None:
        super().__init__()
        widths = (16, 32, 64)
        self.down = nn.ModuleList(twice(i, o) for i, o in zip((3, *widths), (*widths, 128), strict=False))
        self.up = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(2 * width, width, 1))
            if bilinear
            else nn.ConvTranspose2d(2 * width, width, 2, stride=2)
            for width in reversed(widths)
        )
        self.join = nn.ModuleList(twice(2 * width, width) for width in reversed(widths))
        self.pool, self.head = nn.MaxPool2d(2), nn.Conv2d(widths[0], 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for index, block in enumerate(self.down):
            x = block(x if index == 0 else self.pool(x))
            kept.append(x)
        for skip, up, join in zip(reversed(kept[:-1]), self.up, self.join, strict=True):
            x = join(torch.cat([skip, up(x)], 1))
        return self.head(x)


def m5() -> nn.Module:
    """The raw audio network M5 (Dai et al. 2017)."""
    widths = (32, 32, 64, 64)
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(zip((1, *widths), widths, strict=False)):
        kernel, stride = (80, 16) if index == 0 else (3, 1)
        layers += [nn.Conv1d(inputs, outputs, kernel, stride), nn.BatchNorm1d(outputs), nn.ReLU(), nn.MaxPool1d(4)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(widths[-1], 35))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "alexnet": (torchvision_model("alexnet"), (3, 224, 224)),
    "vgg11_bn": (torchvision_model("vgg11_bn"), (3, 224, 224)),
    "vgg16_bn": (torchvision_model("vgg16_bn"), (3, 224, 224)),
    "resnet18": (torchvision_model("resnet18"), (3, 96, 96)),
    "resnet50": (torchvision_model("resnet50"), (3, 96, 96)),
    "resnext50_32x4d": (torchvision_model("resnext50_32x4d"), (3, 96, 96)),
    "wide_resnet50_2": (torchvision_model("wide_resnet50_2"), (3, 64, 64)),
    "densenet121": (torchvision_model("densenet121"), (3, 96, 96)),
    "googlenet": (torchvision_model("googlenet", aux_logits=False, init_weights=True), (3, 96, 96)),
    "inception_v3": (torchvision_model("inception_v3", aux_logits=False, init_weights=True), (3, 139, 139)),
    "squeezenet1_1": (torchvision_model("squeezenet1_1"), (3, 96, 96)),
    "mobilenet_v2": (torchvision_model("mobilenet_v2"), (3, 96, 96)),
    "mobilenet_v3_small": (torchvision_model("mobilenet_v3_small"), (3, 96, 96)),
    "mobilenet_v3_large": (torchvision_model("mobilenet_v3_large"), (3, 96, 96)),
    "efficientnet_b0": (torchvision_model("efficientnet_b0"), (3, 96, 96)),
    "efficientnet_v2_s": (torchvision_model("efficientnet_v2_s"), (3, 64, 64)),
    "shufflenet_v2_x1_0": (torchvision_model("shufflenet_v2_x1_0"), (3, 96, 96)),
    "mnasnet1_0": (torchvision_model("mnasnet1_0"), (3, 96, 96)),
    "regnet_x_400mf": (torchvision_model("regnet_x_400mf"), (3, 96, 96)),
    "regnet_y_400mf": (torchvision_model("regnet_y_400mf"), (3, 96, 96)),
    "convnext_tiny": (torchvision_model("convnext_tiny"), (3, 64, 64)),
    "dm_nfnet_f0": (timm_model("dm_nfnet_f0"), (3, 64, 64)),
    "nf_resnet50": (timm_model("nf_resnet50"), (3, 64, 64)),
    "ghostnet_100": (timm_model("ghostnet_100"), (3, 96, 96)),
    "darknet53": (timm_model("darknet53"), (3, 64, 64)),
    "cspdarknet53": (timm_model("cspdarknet53"), (3, 64, 64)),
    "hrnet_w18_small": (timm_model("hrnet_w18_small"), (3, 64, 64)),
    "repvgg_a0": (timm_model("repvgg_a0"), (3, 64, 64)),
    "unet_transposed": (lambda: UNet(bilinear=False), (3, 64, 64)),
    "unet_bilinear": (lambda: UNet(bilinear=True), (3, 64, 64)),
    "fcn_resnet50": (segmentation("fcn_resnet50"), (3, 64, 64)),
    "deeplabv3_mobilenet_v3_large": (segmentation("deeplabv3_mobilenet_v3_large"), (3, 64, 64)),
    "lraspp_mobilenet_v3_large": (segmentation("lraspp_mobilenet_v3_large"), (3, 64, 64)),
    "audio_m5": (m5, (1, 8000)),
    "r3d_18": (torchvision_model("r3d_18"), (3, 8, 32, 32)),
    "r2plus1d_18": (torchvision_model("r2plus1d_18"), (3, 8, 32, 32)),
    "inception_resnet_v2": (timm_model("inception_resnet_v2"), (3, 139, 139)),
    "xception41": (timm_model("xception41"), (3, 64, 64)),
    "seresnet50": (timm_model("seresnet50"), (3, 64, 64)),
    "resnetblur50": (timm_model("resnetblur50"), (3, 64, 64)),
    "dla34": (timm_model("dla34"), (3, 64, 64)),
    "dpn68": (timm_model("dpn68"), (3, 64, 64)),
    "vovnet39a": (timm_model("vovnet39a"), (3, 64, 64)),
    "mixnet_s": (timm_model("mixnet_s"), (3, 64, 64)),
    "convmixer_768_32": (timm_model("convmixer_768_32"), (3, 64, 64)),
    "mlp_mixer": (timm_model("mixer_s32_224"), (3, 224, 224)),
    "vit_tiny": (timm_model("vit_tiny_patch16_224"), (3, 224, 224)),
}


def settled(network: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """The network with random numbers where it starts from zeros and ones, and statistics of random batches."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the plain mean over the batches
            if module.affine:
                nn.init.uniform_(module.weight, 0.6, 1.4)
                nn.init.normal_(module.bias, std=0.2)
        elif isinstance(module, nn.LayerNorm) and module.elementwise_affine:
            nn.init.uniform_(module.weight, 0.6, 1.4)
            nn.init.normal_(module.bias, std=0.2)
        elif isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
    for name, parameter in network.named_parameters():
        if name.endswith(("layer_scale", "gamma", "skipinit_gain")):  # start near 0: the branch would not be seen
            nn.init.uniform_(parameter, 0.4, 0.8)
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.randn(4, *shape))
    return network.eval()


def export(name: str, exporter: str, folder: Path) -> Path:
    """One network through one exporter, for a batch of any size."""
    torch.manual_seed(SEED)
    make, shape = NETWORKS[name]
    network = settled(make(), shape)
    path = folder / exporter / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    options = EXPORTERS[exporter]
    if options["dynamo"]:
        free = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
    else:
        free = {"dynamic_axes": {"input": {0: "batch"}, "output": {0: "batch"}}}
    names = {"input_names": ["input"], "output_names": ["output"]}
    torch.onnx.export(network, (torch.randn(2, *shape),), str(path), **names, **free, **options)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.survey.export", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NETWORKS)}; all by default")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    stand_in()
    for name in options.names or NETWORKS:
        for exporter in EXPORTERS:
            try:
                print(export(name, exporter, options.folder), flush=True)
            except Exception as error:  # an exporter's failure is a row of the survey, not its end
                print(f"{name}, {exporter}: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
