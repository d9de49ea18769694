"""Feasible sets of attacks: balls around the clean images, confined to the background.

A ball combines the eps-ball, the background mask and the pixel range, so attacks need no mask.
The mask is a weight w in [0, 1] per pixel, bool or soft: with ``delta = w * u``,
the set is ``norm(u) <= eps`` and ``0 <= clean + delta <= 1``. So an L-infinity ball has the radius
``eps * w`` at each pixel, an L2 ball becomes an ellipsoid inside the unmasked ball, and pixels with
w = 0 do not change. All points are pixels in [0, 1], in the memory format of the clean images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, Shaped, UInt8
from torch import Tensor

from ectool.attacks.random_start import Stream, exponential, normal, uniform
from ectool.models.transfer import to_device
from ectool.options import whole_levels

Weight = Bool[Tensor, "n h w"] | Float[Tensor, "n h w"]
Pixels = Float[Tensor, "n c h w"]

WHITE = 255
_TINY = 1e-12
"""Lower bound of norms in divisions, as in the reference implementations."""


@dataclass(frozen=True)
class LinfBall:
    """The L-infinity ball: ``|x - clean| <= eps * weight`` at every pixel, and 0 <= x <= 1.

    Attributes:
        clean: Clean pixels.
        weight: Share of the radius at each pixel.
        eps: Radius in pixel units.
        lower: Minimum of each pixel: ball, mask and pixel range in one bound, so that a projection
            is one clamp.
        upper: Maximum of each pixel.
    """

    clean: Pixels
    weight: Weight
    eps: float
    lower: Pixels
    upper: Pixels

    @classmethod
    def around(cls, clean: Pixels, weight: Weight, eps: float) -> LinfBall:
        """Compute the bounds from the mask, the radius and the pixel range."""
        radius = weight[:, None].to(clean.dtype) * eps
        lower, upper = (clean - radius).clamp_(min=0.0), (clean + radius).clamp_(max=1.0)
        return cls(clean, weight, eps, lower, upper)

    def project_(self, points: Pixels) -> Pixels:
        """Project points into the ball, in place, by a clamp."""
        return points.clamp_(self.lower, self.upper)

    def steepest(self, gradient: Pixels) -> Pixels:
        """Return the direction of steepest ascent: the sign; the bounds apply the mask."""
        return gradient.sign()  # 0 for NaN

    def random_point(self, streams: Sequence[Stream], *, surface: bool = False) -> Pixels:
        """Draw ``clean + eps * weight * u`` with u uniform in [-1, 1].

        Args:
            streams: One generator per image.
            surface: Divide u by its maximum magnitude over the pixels with nonzero weight.
        """
        noise = _like(uniform(streams, self.clean.shape[1:]), self.clean)
        if surface:
            noise = noise * (self.weight[:, None] > 0)
            noise = noise / noise.abs().amax((1, 2, 3), keepdim=True).clamp(min=_TINY)
        # Multiply by eps first: the product with a weight in [0, 1] stays within eps.
        noise = noise * self.eps * self.weight[:, None].to(noise.dtype)
        return self.project_(self.clean + noise)

    def round(self, points: Pixels) -> UInt8[Tensor, "n c h w"]:
        """Round to the nearest grey level within ``eps * weight`` of the clean pixel."""
        origin, reach = levels(self.clean), self._reach()[:, None]
        return levels(points).clamp_(origin - reach, origin + reach).clamp_(0, WHITE).byte()

    def take(self, rows: Int64[Tensor, "m"]) -> LinfBall:
        """Return the ball of some of the images."""
        return LinfBall.around(take(self.clean, rows), self.weight[rows], self.eps)

    def _reach(self) -> Float[Tensor, "n h w"]:
        """Return by how many grey levels each pixel may change."""
        max_levels = whole_levels(self.eps)
        if self.weight.dtype == torch.bool:
            return self.weight.to(self.clean.dtype) * max_levels
        radius = self.weight.double() * self.eps
        nearest = (radius * WHITE).round()
        # As in whole_levels: the product with 255 may be just below an integer.
        exact = torch.where(nearest / WHITE <= radius, nearest, (radius * WHITE).floor())
        return exact.clamp_(max=max_levels).to(self.clean.dtype)


@dataclass(frozen=True)
class L2Ball:
    """The L2 ball: ``norm2((x - clean) / weight) <= eps`` for every image, and 0 <= x <= 1.

    Projection scales u onto the sphere and then clamps the pixels. Clamping moves pixels towards
    the clean image, so the result is in the ball. The reference implementations project in the
    same way; the result is not always the nearest point.

    Attributes:
        clean: Clean pixels.
        weight: Share of the radius at each pixel.
        eps: Radius in pixel units: the root of the sum of squares over pixels and channels.
        scale: The weight as floating-point numbers, with a channel axis.
        inverse: 1 / scale, and 0 where the scale is 0.
    """

    clean: Pixels
    weight: Weight
    eps: float
    scale: Float[Tensor, "n 1 h w"]
    inverse: Float[Tensor, "n 1 h w"]

    @classmethod
    def around(cls, clean: Pixels, weight: Weight, eps: float) -> L2Ball:
        """Compute the scale and its inverse once."""
        scale = weight[:, None].to(clean.dtype)
        inverse = torch.where(scale > 0, scale.reciprocal(), 0)
        return cls(clean, weight, eps, scale, inverse)

    def project_(self, points: Pixels) -> Pixels:
        """Project points into the ball, in place: scale onto the sphere, then clamp the pixels."""
        u = points.sub_(self.clean).mul_(self.inverse)
        shrink = (self.eps / _length(u).clamp(min=_TINY)).clamp(max=1)
        return u.mul_(self.scale * shrink).add_(self.clean).clamp_(0, 1)

    def steepest(self, gradient: Pixels) -> Pixels:
        """Return the step of length 1 in the direction of steepest ascent.

        ``weight * g / norm2(g)`` with ``g = weight * gradient`` the gradient with respect to u; NaN
        and infinity count as 0.
        """
        by_u = gradient.nan_to_num(0, 0, 0) * self.scale
        return by_u * (self.scale / (_length(by_u) + _TINY))

    def random_point(self, streams: Sequence[Stream], *, surface: bool = False) -> Pixels:
        """Draw ``clean + weight * u`` with u uniform in the ball of the pixels that may change.

        ``u = eps * z / sqrt(sum(z**2) + 2 * e)`` with z normal and e exponential: the first
        coordinates of a point on a sphere with two more dimensions (Voelker et al. 2017), so the
        number of pixels is not needed.

        Args:
            streams: One generator per image.
            surface: Omit e, so that u lies on the sphere.
        """
        z = _like(normal(streams, self.clean.shape[1:]), self.clean) * (self.scale > 0)
        square = z.square().sum((1, 2, 3), keepdim=True)
        if not surface:
            square = square + 2 * _like(exponential(streams), z)[:, None, None, None]
        u = z * (self.eps / square.clamp(min=_TINY).sqrt())
        return self.project_(self.clean + self.scale * u)

    def round(self, points: Pixels) -> UInt8[Tensor, "n c h w"]:
        """Round to the nearest grey levels; where that leaves the ball, undo part of it.

        Some pixels go back one level towards the clean image: first those whose rounding
        increased the norm most, and no more than necessary.
        """
        origin = levels(self.clean)
        exact = points.mul(WHITE).sub_(origin).mul_(self.scale > 0)
        moved = exact.round()
        moved.sub_(moved.sign() * self._excess(moved, exact))
        return moved.add_(origin).clamp_(0, WHITE).byte()

    def take(self, rows: Int64[Tensor, "m"]) -> L2Ball:
        """Return the ball of some of the images."""
        return L2Ball.around(take(self.clean, rows), self.weight[rows], self.eps)

    def _excess(self, moved: Pixels, exact: Pixels) -> Bool[Tensor, "n c h w"]:
        """Return the pixels that must go back one level, given the change in levels."""
        unit = self.inverse.double().square()
        length = moved.double().square().mul_(unit)
        gained = (length - exact.double().square().mul_(unit)).flatten(1)
        shorter = (moved.abs().double() - 1).clamp_(min=0).square_().mul_(unit)
        order = gained.argsort(dim=1, descending=True, stable=True)
        saved = (length - shorter).flatten(1).gather(1, order)
        total = length.flatten(1).sum(1, keepdim=True)
        before = total - (saved.cumsum(1) - saved)
        back = before > (WHITE * self.eps) ** 2
        return torch.zeros_like(back).scatter_(1, order, back).view(moved.shape)


Ball = LinfBall | L2Ball
BALLS: dict[str, type[LinfBall] | type[L2Ball]] = {"linf": LinfBall, "l2": L2Ball}


def enter(ball: Ball, start: Pixels) -> Pixels:
    """Return a projected copy of the start in the memory format of the clean images."""
    return ball.project_(torch.empty_like(ball.clean).copy_(start.detach()))


def levels(pixels: Pixels) -> Pixels:
    """Return the nearest grey level of every pixel, 0 to 255, in the same dtype."""
    return pixels.mul(WHITE).round_()


def _like(draws: Tensor, pixels: Pixels) -> Tensor:
    """Return random numbers in the type of the pixels and on their device."""
    return to_device(draws, pixels.device).to(pixels.dtype)


def _length(values: Pixels) -> Float[Tensor, "n 1 1 1"]:
    """Return the L2 norm of each image."""
    return torch.sqrt(values.square().sum((1, 2, 3), keepdim=True))


def take(values: Shaped[Tensor, "n *each"], rows: Int64[Tensor, "m"]) -> Shaped[Tensor, "m *each"]:
    """Return the rows of some images, in the memory format of the whole tensor."""
    is_last = values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last)
    form = torch.channels_last if is_last else torch.contiguous_format
    return values[rows].contiguous(memory_format=form)
