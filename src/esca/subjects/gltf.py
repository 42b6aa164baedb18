"""Reading meshes, morph targets and materials from a glTF 2.0 file (``.glb`` or ``.gltf``).

Only data are read: nothing is executed, nothing is fetched, and no path leaves the file's folder.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import FloatArray
from esca.errors import EscaError
from esca.subjects.gltf_data import Accessors, load_document
from esca.subjects.gltf_images import Images, Picture

SUPPORTED_EXTENSIONS = frozenset(
    {
        "KHR_materials_specular",
        "KHR_mesh_quantization",
        "KHR_texture_transform",
        "KHR_materials_ior",
    }
)
"""Extensions that may be *required* by a file; the rest changes what would be read."""


@dataclass(frozen=True, eq=False)
class Material:
    """Factors and pictures (rows from top to bottom, values in [0, 1]; None = all ones).

    ``colour``: (H, W, 3), sRGB-coded base colour. ``roughness``: (H, W). ``specular``: (H, W)
    strength, where 1 is a normal-incidence reflectance of 0.04. ``colour_factor`` is linear.
    """

    name: str
    colour: Picture | None
    colour_factor: tuple[float, float, float]
    roughness: Picture | None
    roughness_factor: float
    specular: Picture | None
    specular_factor: float


@dataclass(frozen=True, eq=False)
class Part:
    """One primitive, in world space: ``positions`` (V, 3) metres, ``uvs`` (V, 2), ``faces`` (F, 3).

    ``targets``: (V, 3) displacements in metres by name of the morph target; those that do not move
    the part are left out. ``extras``: what the file says beside the format, of mesh and node.
    """

    name: str
    positions: FloatArray
    uvs: FloatArray
    faces: NDArray[np.int32]
    targets: Mapping[str, FloatArray]
    material: Material
    extras: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class GltfHead:
    """Everything that was read. ``target_names``: of all parts, in file order."""

    parts: tuple[Part, ...]
    target_names: tuple[str, ...]
    credits: Mapping[str, str]


def read_gltf(path: Path) -> GltfHead:
    """Read a ``.glb`` or ``.gltf`` file.

    Raises EscaError, naming the file, for what is damaged, unsupported (compression extensions,
    anything but triangles) or unsafe, and where ``pygltflib`` (``pip install esca[gltf]``) is
    missing.
    """
    document, buffers = load_document(path)
    unknown = sorted(set(document.extensionsRequired or []) - SUPPORTED_EXTENSIONS)
    if unknown:
        raise EscaError(f"{path}: requires the glTF extension {unknown[0]}, not supported")
    accessors = Accessors(path, document, buffers)
    materials = _Materials(path, document, Images(path, document, accessors))
    parts: list[Part] = []
    names: dict[str, None] = {}
    for node, matrix in _placed_nodes(path, document):
        mesh = _item(path, document.meshes, node.mesh, "mesh")
        target_names = _target_names(mesh)
        names.update(dict.fromkeys(target_names))
        extras = {**(mesh.extras or {}), **(node.extras or {})}
        extras.pop("targetNames", None)
        for primitive in mesh.primitives:
            name = mesh.name or node.name or f"mesh {node.mesh}"
            parts.append(
                _part(path, name, primitive, target_names, matrix, accessors, materials, extras)
            )
    if not parts:
        raise EscaError(f"{path}: holds no mesh; expected a head with morph targets")
    return GltfHead(tuple(parts), tuple(names), _credits(document))


def _item(path: Path, items: list[Any] | None, index: int | None, what: str) -> Any:
    if items is None or index is None or not 0 <= index < len(items):
        raise EscaError(f"{path}: names {what} {index}, which is not in the file")
    return items[index]


def _target_names(mesh: Any) -> list[str]:
    count = max((len(primitive.targets or []) for primitive in mesh.primitives), default=0)
    given = (mesh.extras or {}).get("targetNames") or []
    return [str(given[i]) if i < len(given) else f"target{i}" for i in range(count)]


def _credits(document: Any) -> dict[str, str]:
    asset = document.asset
    # Where a file names no generator, pygltflib puts itself.
    generator = "" if str(asset.generator).startswith("pygltflib@") else asset.generator
    found = {"copyright": asset.copyright, "generator": generator}
    for source in (asset.extras, document.extras):
        if isinstance(source, Mapping):
            found.update({str(key): value for key, value in source.items()})
    return {key: str(value) for key, value in found.items() if value}


def _placed_nodes(path: Path, document: Any) -> Iterator[tuple[Any, FloatArray]]:
    """Nodes with a mesh in the default scene, with their (4, 4) world matrices."""
    nodes = document.nodes or []
    if document.scenes:
        scene = _item(path, document.scenes, document.scene or 0, "scene")
        pending = [(index, np.eye(4)) for index in reversed(scene.nodes or [])]
    else:
        children = {child for node in nodes for child in node.children or []}
        pending = [(i, np.eye(4)) for i in reversed(range(len(nodes))) if i not in children]
    visited: set[int] = set()
    while pending:
        index, parent = pending.pop()
        node = _item(path, nodes, index, "node")
        if index in visited:
            raise EscaError(f"{path}: node {index} is reached twice; expected a tree")
        visited.add(index)
        matrix = parent @ _local_matrix(node)
        if node.mesh is not None:
            yield node, matrix
        pending.extend((child, matrix) for child in reversed(node.children or []))


def _local_matrix(node: Any) -> FloatArray:
    if node.matrix is not None:
        return np.array(node.matrix, np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    x, y, z, w = node.rotation or (0.0, 0.0, 0.0, 1.0)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, :3] *= np.asarray(node.scale or (1.0, 1.0, 1.0))
    matrix[:3, 3] = node.translation or (0.0, 0.0, 0.0)
    return matrix


def _part(
    path: Path,
    name: str,
    primitive: Any,
    target_names: list[str],
    matrix: FloatArray,
    accessors: Accessors,
    materials: "_Materials",
    extras: Mapping[str, Any],
) -> Part:
    where = f"{path}: mesh {name!r}"
    if primitive.mode not in (None, 4):
        raise EscaError(f"{where}: primitive mode {primitive.mode}; expected 4 (triangles)")
    attributes = primitive.attributes
    if attributes.POSITION is None:
        raise EscaError(f"{where}: has no POSITION")
    positions = accessors.read(attributes.POSITION, "VEC3")
    texcoord, transform, material = materials.read(primitive.material)
    uv_index = getattr(attributes, f"TEXCOORD_{texcoord}", None)
    if uv_index is None:
        raise EscaError(f"{where}: has no TEXCOORD_{texcoord}; expected a texture chart")
    uvs = accessors.read(uv_index, "VEC2") @ transform[:2, :2].T + transform[:2, 2]
    if primitive.indices is None:
        indices = np.arange(len(positions))
    else:
        indices = accessors.read(primitive.indices, "SCALAR").astype(np.int64).ravel()
    if len(indices) % 3 or len(uvs) != len(positions):
        raise EscaError(
            f"{where}: {len(indices)} indices, {len(uvs)} texture coordinates and "
            f"{len(positions)} positions do not fit together"
        )
    if len(indices) and indices.max() >= len(positions):
        raise EscaError(f"{where}: index {indices.max()} is beyond {len(positions)} vertices")
    faces = indices.reshape(-1, 3).astype(np.int32)
    if np.linalg.det(matrix[:3, :3]) < 0:
        faces = faces[:, ::-1].copy()
    targets = {}
    for target_name, target in zip(target_names, primitive.targets or [], strict=False):
        index = target.get("POSITION")
        if index is None:
            continue
        moves = accessors.read(index, "VEC3")
        if len(moves) != len(positions):
            raise EscaError(
                f"{where}: target {target_name!r} has {len(moves)} positions, "
                f"expected {len(positions)}"
            )
        if np.any(moves):
            targets[target_name] = moves @ matrix[:3, :3].T
    placed = positions @ matrix[:3, :3].T + matrix[:3, 3]
    return Part(name, placed, uvs, faces, targets, material, extras)


class _Materials:
    """Materials by index, each with the texture coordinates that its base colour uses."""

    def __init__(self, path: Path, document: Any, images: Images) -> None:
        self._path, self._document, self._images = path, document, images
        self._read: dict[int | None, tuple[int, FloatArray, Material]] = {}

    def read(self, index: int | None) -> tuple[int, FloatArray, Material]:
        """Number of the TEXCOORD set, (3, 3) transform of its coordinates, and the material."""
        if index not in self._read:
            self._read[index] = self._make(index)
        return self._read[index]

    def _make(self, index: int | None) -> tuple[int, FloatArray, Material]:
        if index is None:
            plain = Material("default", None, (0.5, 0.5, 0.5), None, 0.5, None, 1.0)
            return 0, np.eye(3), plain
        material = _item(self._path, self._document.materials, index, "material")
        surface = material.pbrMetallicRoughness
        colour = surface.baseColorTexture if surface else None
        rough = surface.metallicRoughnessTexture if surface else None
        factor = (surface.baseColorFactor if surface else None) or [1.0, 1.0, 1.0, 1.0]
        rough_factor = surface.roughnessFactor if surface else None
        gloss = (material.extensions or {}).get("KHR_materials_specular") or {}
        specular_texture = gloss.get("specularTexture")
        picture = self._images.read(colour.index)[..., :3] if colour is not None else None
        roughness = self._images.read(rough.index)[..., 1] if rough is not None else None
        specular = None
        if specular_texture is not None:
            specular = self._images.read(specular_texture["index"])[..., 3]
        red, green, blue = (float(value) for value in factor[:3])
        made = Material(
            material.name or f"material {index}",
            picture,
            (red, green, blue),
            roughness,
            1.0 if rough_factor is None else float(rough_factor),
            specular,
            float(gloss.get("specularFactor", 1.0)),
        )
        texcoord = int(colour.texCoord or 0) if colour is not None else 0
        extensions = (colour.extensions or {}) if colour is not None else {}
        return texcoord, _texture_transform(extensions), made


def _texture_transform(extensions: Mapping[str, Any]) -> FloatArray:
    """(3, 3) matrix of ``KHR_texture_transform``."""
    given = extensions.get("KHR_texture_transform") or {}
    across, down = given.get("offset", (0.0, 0.0))
    width, height = given.get("scale", (1.0, 1.0))
    cos, sin = np.cos(given.get("rotation", 0.0)), np.sin(given.get("rotation", 0.0))
    return np.array(
        [[cos * width, sin * height, across], [-sin * width, cos * height, down], [0, 0, 1.0]]
    )
