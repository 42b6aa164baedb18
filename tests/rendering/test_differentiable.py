import numpy as np
import torch
from numpy.typing import NDArray

from esca.captures.geometry import Camera, FloatArray, Topology
from esca.rendering.differentiable import screen_colours
from esca.rendering.raster import rasterize
from esca.rendering.shade import render

Head = tuple[NDArray[np.float64], Topology]


def visible(
    vertices: FloatArray, topology: Topology, matrix: FloatArray, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    raster = rasterize(vertices, topology.faces, matrix, size)
    rows, columns = np.nonzero(raster.foreground)
    triangles = torch.from_numpy(raster.triangle[rows, columns]).long()
    return triangles, torch.from_numpy(np.stack([columns + 0.5, rows + 0.5], axis=1))


def test_it_gives_the_renderers_colours(
    head: Head, front_camera: Camera, turned_head: FloatArray
) -> None:
    vertices, topology = head
    texture = np.random.default_rng(1).uniform(0, 255, (32, 32, 3)).astype(np.float32)
    picture = render(texture, vertices, topology, front_camera, turned_head)
    matrix = front_camera.projection(turned_head)
    triangles, pixels = visible(vertices, topology, matrix, front_camera.size)
    colours = screen_colours(
        torch.from_numpy(texture).permute(2, 0, 1),
        torch.from_numpy(vertices).float(),
        triangles,
        pixels,
        torch.from_numpy(matrix),
        topology,
    )
    columns, rows = (pixels - 0.5).long().T
    assert colours.dtype == torch.float32
    assert np.abs(colours.numpy() - picture[rows, columns]).max() < 0.02


def test_gradients_are_right(head: Head, front_camera: Camera, turned_head: FloatArray) -> None:
    vertices, topology = head
    matrix = front_camera.projection(turned_head)
    triangles, pixels = visible(vertices, topology, matrix, front_camera.size)
    some = slice(40, None, 97)
    triangles, pixels = triangles[some], pixels[some]
    used = np.unique(topology.faces[triangles])
    moving = torch.from_numpy(vertices[used]).requires_grad_()
    texture = torch.rand(2, 8, 8, dtype=torch.float64, requires_grad=True)

    def colours(texture: torch.Tensor, moving: torch.Tensor) -> torch.Tensor:
        whole = torch.from_numpy(vertices).index_copy(0, torch.from_numpy(used).long(), moving)
        return screen_colours(texture, whole, triangles, pixels, torch.from_numpy(matrix), topology)

    torch.manual_seed(0)
    assert torch.autograd.gradcheck(colours, (texture, moving), eps=1e-5, atol=1e-6, fast_mode=True)
    (gradient,) = torch.autograd.grad(colours(texture, moving).sum(), moving)
    assert gradient.abs().sum() > 0
