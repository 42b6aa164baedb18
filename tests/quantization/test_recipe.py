import pytest

from esca.errors import EscaError
from esca.quantization.recipe import (
    QUICK,
    Bits,
    Override,
    Recipe,
    load_recipe,
    parse_bits,
    parse_recipe,
    recipe_data,
    recipe_from_data,
    recipe_names,
)

SHIPPED = {
    "minmax": ("none", "nearest", "plain"),
    "rtn": ("none", "nearest", "plain"),
    "smoothquant": ("icas", "nearest", "plain"),
    "gptq": ("none", "gptq", "plain"),
    "adaround-lsq": ("none", "nearest", "plain"),
    "brecq": ("none", "nearest", "plain"),
    "qdrop": ("none", "nearest", "plain"),
    "2dquant": ("none", "nearest", "plain"),
    "poca": ("none", "nearest", "plain"),
    "icas": ("icas", "gptq", "plain"),
    "uv": ("none", "gptq", "uv"),
    "icas-uv": ("icas", "gptq", "uv"),
    "ffas-uv": ("ffas", "gptq", "uv"),
}


def test_the_shipped_recipes_come_first_and_in_order() -> None:
    assert recipe_names()[: len(SHIPPED)] == tuple(SHIPPED)


@pytest.mark.parametrize("bits", ["w4a4", "w8a8"])
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_load(name: str, bits: str) -> None:
    recipe = load_recipe(name, bits)
    found = (recipe.smoothing.method, recipe.rounding.method, recipe.rounding.hessian)
    assert (recipe.name, recipe.label, found) == (name, bits, SHIPPED[name])
    assert recipe.bits == Bits(int(bits[1]), int(bits[3]))
    assert recipe.linear.weights == recipe.linear.activations == 8
    assert recipe_from_data(recipe_data(recipe), "again") == recipe


def test_what_learns_is_told_apart_from_what_is_quick() -> None:
    for name in recipe_names():
        recipe = load_recipe(name)
        learns = recipe.reconstruction is not None or recipe.distill is not None
        assert (name in QUICK) == (not learns)


WRONG = {
    "name: x\ncolour: red": "colour: .*'red'",
    "bits: {weights: 4}": "name: ",
    "name: x\nbits: {weights: 9}": "bits.weights: .*8.*got 9",
    "name: x\nbits: {activations: 1}": "bits.activations: .*2.*got 1",
    "name: x\nbits: {weights: four}": "bits.weights: .*'four'",
    "name: x\nlinear: {weights: 17}": "linear.weights: .*got 17",
    "name: x\ntexel_bias: 1": "texel_bias: .*got 1",
    "name: x\ncoordinate: 20": "coordinate: .*got 20",
    "name: x\nsmoothing: {method: magic}": "smoothing.method: .*'magic'",
    "name: x\nsmoothing: {alpha: 1.5}": "smoothing.alpha: .*1.5",
    "name: x\nsmoothing: {alpha: .nan}": "smoothing.alpha: .*nan",
    "name: x\nsmoothing: {exempt_percent: -1}": "smoothing.exempt_percent: .*-1",
    "name: x\nrounding: {damp: 0}": "rounding.damp: .*got 0",
    "name: x\nrounding: {block: 0}": "rounding.block: .*got 0",
    "name: x\nreconstruction: {method: magic}": "reconstruction.method: .*'magic'",
    "name: x\nreconstruction: {steps: 5}": "reconstruction.method: ",
    "name: x\nreconstruction: {method: qdrop, drop: 1.0}": "reconstruction.drop: .*got 1.0",
    "name: x\nreconstruction: {method: poca, steps: 0}": "reconstruction.steps: .*got 0",
    "name: x\ngranularity: texel": "granularity: .*'texel'",
    "name: x\noverrides: [{layer: a, weights: 1}]": "overrides.0.weights: .*got 1",
    "name: x\noverrides: [{weights: 4}]": "overrides.0.layer: ",
    "name: [unclosed": "not valid YAML",
    "- a\n- b": "expected a mapping of recipe fields",
    "": "expected a mapping of recipe fields",
    "name: !!python/object/apply:os.getcwd []": "not valid YAML",
}


@pytest.mark.parametrize("text", WRONG)
def test_errors_name_the_source_and_the_field(text: str) -> None:
    with pytest.raises(EscaError, match=rf"^mine.yaml: {WRONG[text]}") as error:
        parse_recipe(text, "mine.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("label", ["w4", "4a4", "w4a4x", "w1a4", "w4a9", "w0a0", ""])
def test_wrong_bit_labels(label: str) -> None:
    with pytest.raises(EscaError, match=f"bits: '{label}', expected"):
        parse_bits(label)
    with pytest.raises(EscaError, match="bits: "):
        load_recipe("rtn", label)


def test_files_and_unknown_names(tmp_path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("name: own\nbits: {weights: 3, activations: 5}\n")
    assert load_recipe(path).label == "w3a5"
    assert load_recipe(str(path), "w8a4").label == "w8a4"
    with pytest.raises(EscaError, match=r"gone\.yaml: no such recipe file"):
        load_recipe(tmp_path / "gone.yaml")
    with pytest.raises(EscaError, match="'magic' is none of minmax, rtn, smoothquant"):
        load_recipe("magic")
    path.write_bytes(b"name: \xff\xfe\x00")
    with pytest.raises(EscaError, match=r"own\.yaml: not a YAML file, expected UTF-8"):
        load_recipe(path)
    path.write_bytes(b"name: \x07")
    with pytest.raises(EscaError, match=r"own\.yaml: not valid YAML"):
        load_recipe(path)


def test_overrides_match_whole_names_and_the_last_one_wins() -> None:
    recipe = Recipe(
        "t",
        overrides=(
            Override("dec.*.conv1.*", weights=8),
            Override("dec.a.conv1.deconv", activations=6),
            Override("*2*", weights=3, activations=3),
        ),
    )
    assert recipe.bits_of("dec.a.conv1.deconv", False) == Bits(8, 6)
    assert recipe.bits_of("dec.b.conv1.deconv", False) == Bits(8, 4)
    assert recipe.bits_of("dec.b.conv2.deconv", False) == Bits(3, 3)
    assert recipe.bits_of("xdec.b.conv1.deconv", False) == Bits(4, 4)
    assert recipe.bits_of("decXaXconv1Xdeconv", False) == Bits(4, 4)
    assert recipe.bits_of("fc", True) == Bits(8, 8)
