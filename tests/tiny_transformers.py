"""Tiny vision transformers of several kinds, and a slow pass through those of three libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from timm.models import beit
from timm.models import vision_transformer as timm_vit
from timm.models.deit import VisionTransformerDistilled
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from ectool.models.classifier import Classifier, ModelSpec
from ectool.models.layers.target_layer import find_target_layer
from ectool.models.sources.openclip import ZeroShot

SIZE, PATCH, WIDTH, HEADS, CLASSES = (32, 32), 8, 16, 2, 5
GRID = (SIZE[0] // PATCH, SIZE[1] // PATCH)


class PlainTransformer(nn.Module):
    """A transformer of torch's own parts, attention as ``attend`` (tokens to tokens), averaged."""

    def __init__(self, *attend: nn.Module) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.attend = nn.ModuleList(attend)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in attend)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        for norm, attend in zip(self.norms, self.attend, strict=True):
            tokens = tokens + attend(norm(tokens))
        return self.head(tokens.mean(1))


class Weighing(nn.Module):
    """Multi-head attention that is asked for its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        output, weights = self.attention(tokens, tokens, tokens)
        return output * weights.sum(-1, keepdim=True)


class WrittenOut(nn.Module):
    """Attention of a single head, written out with a softmax that is overwritten afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.to_keys = nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        weights = (self.to_keys(tokens) @ tokens.mT).softmax(-1)
        return weights.mul_(0.5) @ tokens


class Windows(nn.Module):
    """Attention inside of windows of four tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        windows = tokens.reshape(-1, 4, WIDTH)
        return self.attention(windows, windows, windows)[0].reshape(tokens.shape)


class Summary(nn.Module):
    """Attention of the tokens to their mean: not one of all to all."""

    def forward(self, tokens: Tensor) -> Tensor:
        mean = tokens.mean(1, keepdim=True)
        return nn.functional.scaled_dot_product_attention(tokens, mean, mean)


def torchvision_vit() -> nn.Module:
    network = VisionTransformer(SIZE[0], PATCH, 3, HEADS, WIDTH, 2 * WIDTH, num_classes=CLASSES)
    nn.init.normal_(network.heads.head.weight)
    return network


def timm_network(
    make: Callable[..., nn.Module] = timm_vit.VisionTransformer, **options: object
) -> nn.Module:
    sizes = {"img_size": SIZE, "patch_size": PATCH, "embed_dim": WIDTH, "num_classes": CLASSES}
    return make(**sizes, depth=2, num_heads=HEADS, **options)


def openclip_network() -> nn.Module:
    from small_clips import zero_shot_network  # imports open_clip, which takes seconds

    vision = {"image_size": SIZE[0], "patch_size": PATCH, "width": WIDTH, "layers": 2}
    return zero_shot_network({**vision, "head_width": WIDTH // HEADS}, CLASSES)


def encoder_layer() -> nn.Module:
    return nn.TransformerEncoderLayer(WIDTH, HEADS, WIDTH, batch_first=True)


TRANSFORMERS: dict[str, Callable[[], nn.Module]] = {
    "torchvision": torchvision_vit,
    "timm": timm_network,
    "openclip": openclip_network,
    "distilled": lambda: timm_network(VisionTransformerDistilled),
    "registers": lambda: timm_network(reg_tokens=4),
    "average": lambda: timm_network(class_token=False, global_pool="avg"),
    "average beside a class token": lambda: timm_network(global_pool="avg"),
    "position bias": lambda: timm_network(beit.Beit, use_rel_pos_bias=True, init_values=0.1),
    "encoder layers": lambda: PlainTransformer(encoder_layer(), encoder_layer()),
    "asked for weights": lambda: PlainTransformer(Weighing(), Weighing()),
    "written out": lambda: PlainTransformer(WrittenOut(), WrittenOut()),
}

# Networks that are no transformers of attention from all tokens to all, and what is said of them.
OTHERS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "no attention": (lambda: PlainTransformer(nn.Linear(WIDTH, WIDTH)), "got no attention"),
    "windows": (lambda: PlainTransformer(Windows()), "got attention of shape 4x2x4x4 for one"),
    "all to one": (lambda: PlainTransformer(Summary()), "got attention of shape 1x16x1"),
    "pooled by attention": (
        lambda: timm_network(global_pool="map"),
        "got attention of shape 1x2x17x17 and 1x2x1x16 for one image",
    ),
}


def transformer(make: Callable[[], nn.Module]) -> Classifier:
    """Make a classifier with fixed weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make()
    target = find_target_layer(network, SIZE)
    names = tuple("abcde"[:CLASSES])
    spec = ModelSpec("tiny", names, SIZE, (0.5,) * 3, (0.25,) * 3, target.name, target.layout)
    return Classifier(network, spec)


@dataclass
class Block:
    """One layer of a transformer, by what it is made of."""

    norm: nn.Module
    to_all: tuple[Tensor, Tensor]
    project: nn.Module
    norm_after: nn.Module
    transform: nn.Module


def torchvision_blocks(network: nn.Module) -> Iterator[Block]:
    for layer in network.encoder.layers:
        attention = layer.self_attention
        to_all = attention.in_proj_weight, attention.in_proj_bias
        yield Block(layer.ln_1, to_all, attention.out_proj, layer.ln_2, layer.mlp)


def timm_blocks(network: nn.Module) -> Iterator[Block]:
    for layer in network.blocks:
        attention = layer.attn
        to_all = attention.qkv.weight, attention.qkv.bias
        yield Block(layer.norm1, to_all, attention.proj, layer.norm2, layer.mlp)


def openclip_blocks(network: nn.Module) -> Iterator[Block]:
    for layer in network.visual.transformer.resblocks:
        to_all = layer.attn.in_proj_weight, layer.attn.in_proj_bias
        yield Block(layer.ln_1, to_all, layer.attn.out_proj, layer.ln_2, layer.mlp)


def slowly(model: Classifier, image: Tensor) -> tuple[list[list[Tensor]], Tensor]:
    """Run one image through a ViT of torchvision, timm or open_clip, one head at a time.

    Returns:
        The probabilities of every layer's heads, which gradients can be taken of, and the logits.
    """
    network = model.network
    pixels = (image[None] - model.mean) / model.std
    if isinstance(network, VisionTransformer):
        patches = network.conv_proj(pixels).flatten(2)[0].T
        tokens = torch.cat([network.class_token[0], patches]) + network.encoder.pos_embedding[0]
        blocks, last, head = torchvision_blocks(network), network.encoder.ln, network.heads
    elif isinstance(network, ZeroShot):
        tower = network.visual
        patches = tower.conv1(pixels).flatten(2)[0].T
        tokens = torch.cat([tower.class_embedding[None], patches]) + tower.positional_embedding
        tokens, blocks, last = tower.ln_pre(tokens), openclip_blocks(network), tower.ln_post
        scale, texts = network.head.logit_scale.exp(), network.head.weight

        def head(token: Tensor) -> Tensor:
            features = token @ tower.proj
            return scale * (features / features.square().sum().sqrt()) @ texts.T
    else:
        patches = network.patch_embed.proj(pixels).flatten(2)[0].T
        tokens = torch.cat([network.cls_token[0], patches]) + network.pos_embed[0]
        blocks, last, head = timm_blocks(network), network.norm, network.head
    layers = []
    for block in blocks:
        heads, outputs = [], []
        weight, bias = block.to_all
        queries, keys, values = (block.norm(tokens) @ weight.T + bias).split(WIDTH, 1)
        for start in range(0, WIDTH, WIDTH // HEADS):
            part = slice(start, start + WIDTH // HEADS)
            scores = queries[:, part] @ keys[:, part].T / (WIDTH // HEADS) ** 0.5
            exponential = scores.exp()
            heads.append(exponential / exponential.sum(1, keepdim=True))
            outputs.append(heads[-1] @ values[:, part])
        layers.append(heads)
        tokens = tokens + block.project(torch.cat(outputs, 1))
        tokens = tokens + block.transform(block.norm_after(tokens))
    return layers, head(last(tokens)[:1])[0]
