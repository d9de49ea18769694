"""The images an attack may choose from: a ball around the clean ones, confined to the background.

A ball folds the eps-ball, the background mask and the pixel range into one set, so attacks know
nothing of masks. The mask is a weight w in [0, 1] per pixel, bool or soft: with ``delta = w * u``,
the set is ``norm(u) <= eps`` together with ``0 <= clean + delta <= 1``. So an L-infinity ball has
the radius ``eps * w`` at each pixel, an L2 ball becomes an ellipsoid inside of the plain ball, and
where w is 0 nothing moves. All points are pixels in [0, 1], in the clean images' memory format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, Shaped, UInt8
from torch import Tensor

from ectool.attacks.random_start import Stream, exponential, normal, uniform
from ectool.options import whole_levels

Weight = Bool[Tensor, "n h w"] | Float[Tensor, "n h w"]
Pixels = Float[Tensor, "n c h w"]

WHITE = 255
_TINY = 1e-12
"""What lengths that are divided by are kept above; that of the reference implementations."""


@dataclass(frozen=True)
class LinfBall:
    """The L-infinity ball: ``|x - clean| <= eps * weight`` at every pixel, and 0 <= x <= 1.

    Attributes:
        clean: Clean pixels.
        weight: Share of the radius.
        eps: Radius in pixel units.
        lower: Least value of each pixel: ball, mask and range folded once, so that a projection
            is a clamp.
        upper: Greatest value of each pixel.
    """

    clean: Pixels
    weight: Weight
    eps: float
    lower: Pixels
    upper: Pixels

    @classmethod
    def around(cls, clean: Pixels, weight: Weight, eps: float) -> LinfBall:
        """Fold mask, ball and pixel range into bounds."""
        radius = weight[:, None].to(clean.dtype) * eps
        lower, upper = (clean - radius).clamp_(min=0.0), (clean + radius).clamp_(max=1.0)
        return cls(clean, weight, eps, lower, upper)

    def project_(self, points: Pixels) -> Pixels:
        """Move points into the ball, in place: clamp them between the bounds."""
        return points.clamp_(self.lower, self.upper)

    def steepest(self, gradient: Pixels) -> Pixels:
        """Return the step of length 1 that climbs most: the sign, for the bounds know the mask."""
        return gradient.sign()  # 0 for NaN

    def random_point(self, streams: Sequence[Stream], *, surface: bool = False) -> Pixels:
        """Draw ``clean + eps * weight * u`` with u uniform in [-1, 1].

        Args:
            streams: One for each image.
            surface: Divide u by its greatest magnitude where the weight is not 0.
        """
        noise = uniform(streams, self.clean.shape[1:]).to(self.clean)
        if surface:
            noise = noise * (self.weight[:, None] > 0)
            noise = noise / noise.abs().amax((1, 2, 3), keepdim=True).clamp(min=_TINY)
        # Not through an addition of the weighted radius: the product keeps noise within eps.
        noise = noise * self.eps * self.weight[:, None].to(noise.dtype)
        return self.project_(self.clean + noise)

    def round(self, points: Pixels) -> UInt8[Tensor, "n c h w"]:
        """Round to the nearest level of which no pixel is more than ``eps * weight`` away."""
        origin, reach = levels(self.clean), self._reach()[:, None]
        return levels(points).clamp_(origin - reach, origin + reach).clamp_(0, WHITE).byte()

    def take(self, rows: Int64[Tensor, "m"]) -> LinfBall:
        """Return the balls of some images."""
        return LinfBall.around(take(self.clean, rows), self.weight[rows], self.eps)

    def _reach(self) -> Float[Tensor, "n h w"]:
        """Return how many whole levels each pixel may move."""
        most = whole_levels(self.eps)
        if self.weight.dtype == torch.bool:
            return self.weight.to(self.clean.dtype) * most
        radius = self.weight.double() * self.eps
        nearest = (radius * WHITE).round()
        # As whole_levels does it: the product with 255 may come out just below a whole number.
        exact = torch.where(nearest / WHITE <= radius, nearest, (radius * WHITE).floor())
        return exact.clamp_(max=most).to(self.clean.dtype)


@dataclass(frozen=True)
class L2Ball:
    """The L2 ball: ``norm2((x - clean) / weight) <= eps`` for every image, and 0 <= x <= 1.

    Projection scales u onto the sphere and then clamps the pixels. Clamping moves pixels towards
    the clean ones, so the result is in the ball; it is the reference implementations' projection,
    and not always the nearest point.

    Attributes:
        clean: Clean pixels.
        weight: Share of the radius.
        eps: Radius in pixel units: the root of the sum of squares over pixels and channels.
        scale: The weight as numbers, with an axis for channels.
        inverse: 1 / scale, and 0 where that is infinite.
    """

    clean: Pixels
    weight: Weight
    eps: float
    scale: Float[Tensor, "n 1 h w"]
    inverse: Float[Tensor, "n 1 h w"]

    @classmethod
    def around(cls, clean: Pixels, weight: Weight, eps: float) -> L2Ball:
        """Prepare what every projection needs."""
        scale = weight[:, None].to(clean.dtype)
        inverse = torch.where(scale > 0, scale.reciprocal(), 0)
        return cls(clean, weight, eps, scale, inverse)

    def project_(self, points: Pixels) -> Pixels:
        """Move points into the ball, in place: scale onto the sphere, then clamp the pixels."""
        u = points.sub_(self.clean).mul_(self.inverse)
        shrink = (self.eps / _length(u).clamp(min=_TINY)).clamp(max=1)
        return u.mul_(self.scale * shrink).add_(self.clean).clamp_(0, 1)

    def steepest(self, gradient: Pixels) -> Pixels:
        """Return the step of length 1 that climbs most.

        ``weight * g / norm2(g)`` with g the gradient by u, ``weight * gradient``; NaN and infinity
        count as 0.
        """
        by_u = gradient.nan_to_num(0, 0, 0) * self.scale
        return by_u * (self.scale / (_length(by_u) + _TINY))

    def random_point(self, streams: Sequence[Stream], *, surface: bool = False) -> Pixels:
        """Draw ``clean + weight * u`` with u uniform in the ball of the pixels that may move.

        ``u = eps * z / sqrt(sum(z**2) + 2 * e)`` with z normal and e exponential: the first
        coordinates of a point on a sphere of two dimensions more (Voelker et al. 2017), which
        needs no count of the pixels.

        Args:
            streams: One for each image.
            surface: Leave e out, so that u lies on the sphere.
        """
        z = normal(streams, self.clean.shape[1:]).to(self.clean) * (self.scale > 0)
        square = z.square().sum((1, 2, 3), keepdim=True)
        if not surface:
            square = square + 2 * exponential(streams).to(z)[:, None, None, None]
        u = z * (self.eps / square.clamp(min=_TINY).sqrt())
        return self.project_(self.clean + self.scale * u)

    def round(self, points: Pixels) -> UInt8[Tensor, "n c h w"]:
        """Round to the nearest levels, and where that leaves the ball, take some of it back.

        One level towards the clean image each, those pixels first whose rounding added most to
        the length, and only as many as it takes.
        """
        origin = levels(self.clean)
        exact = points.mul(WHITE).sub_(origin).mul_(self.scale > 0)
        moved = exact.round()
        moved.sub_(moved.sign() * self._excess(moved, exact))
        return moved.add_(origin).clamp_(0, WHITE).byte()

    def take(self, rows: Int64[Tensor, "m"]) -> L2Ball:
        """Return the balls of some images."""
        return L2Ball.around(take(self.clean, rows), self.weight[rows], self.eps)

    def _excess(self, moved: Pixels, exact: Pixels) -> Bool[Tensor, "n c h w"]:
        """Mark the pixels that have to go back one level, given the levels they moved."""
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
    """Return a copy of the start, projected, in the memory format of the clean images."""
    return ball.project_(torch.empty_like(ball.clean).copy_(start.detach()))


def levels(pixels: Pixels) -> Pixels:
    """Return the nearest grey level of every pixel, 0 to 255, as a number of the same type."""
    return pixels.mul(WHITE).round_()


def _length(values: Pixels) -> Float[Tensor, "n 1 1 1"]:
    """Return the L2 norm of each image."""
    return torch.sqrt(values.square().sum((1, 2, 3), keepdim=True))


def take(values: Shaped[Tensor, "n *each"], rows: Int64[Tensor, "m"]) -> Shaped[Tensor, "m *each"]:
    """Return what belongs to some images, in the memory format of all."""
    is_last = values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last)
    form = torch.channels_last if is_last else torch.contiguous_format
    return values[rows].contiguous(memory_format=form)
