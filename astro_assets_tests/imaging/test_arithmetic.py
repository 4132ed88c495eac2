"""Values, units, masks and variances of sums, products and ratios; the refusals' sentences."""

import numpy as np
import pytest
from astropy import units as u
from hypothesis import given
from hypothesis import strategies as st

from astro_assets.errors import Unusable
from astro_assets.imaging.arithmetic import Operand, Operation, calculate
from astro_assets.imaging.mask import MaskBit

RNG = np.random.default_rng(1)
A, B = RNG.normal(100, 5, (30, 40)), RNG.normal(20, 2, (30, 40))


def image(values: np.ndarray, **more: object) -> Operand:
    return Operand("a.fits", values, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("ADD", A + B), ("SUB", A - B), ("MUL", A * B), ("DIV", A / B),
     ("MIN", np.minimum(A, B)), ("MAX", np.maximum(A, B))],
)  # fmt: skip
def test_values(operation: str, expected: np.ndarray) -> None:
    done = calculate(image(A), Operation(operation), image(B))
    np.testing.assert_array_equal(done.image, expected)
    assert done.mask is None
    assert done.variance is None


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "i8", "f4", "f8", ">f4", ">i2"])
def test_number_types_and_a_number_beside_them(dtype: str) -> None:
    values = np.arange(200).reshape(10, 20).astype(dtype)
    done = calculate(image(values), Operation.SUB, Operand("250.5", np.float64(250.5)))
    np.testing.assert_array_equal(done.image, np.arange(200).reshape(10, 20) - 250.5)
    assert done.image.dtype == (np.float64 if np.dtype(dtype).itemsize > 2 and dtype != "f4"
                                and dtype != ">f4" else np.float32)  # fmt: skip
    turned = calculate(Operand("1000", np.float64(1000)), Operation.SUB, image(values))
    np.testing.assert_array_equal(turned.image, 1000 - np.arange(200).reshape(10, 20))


def test_large_whole_numbers_keep_their_last_digit() -> None:
    values = np.full((3, 3), 2**24 + 1, np.int32)
    done = calculate(image(values), Operation.SUB, Operand("1", np.float64(1)))
    assert (done.image == 2**24).all()


def test_division_by_zero_has_no_data() -> None:
    b = np.ones((4, 5), np.uint16)
    b[1, 2] = 0
    a = np.zeros((4, 5), np.uint16)
    done = calculate(image(a), Operation.DIV, image(b))
    assert np.argwhere(np.isnan(done.image)).tolist() == [[1, 2]]
    assert done.mask is not None
    assert np.argwhere(done.mask).tolist() == [[1, 2]]
    assert done.mask[1, 2] == MaskBit.NO_DATA


def test_masks_are_or_ed_and_what_is_not_finite_is_masked() -> None:
    a, b = np.ones((3, 4)), np.ones((3, 4))
    a[2, 2] = np.inf
    one, other = np.zeros((3, 4), np.uint8), np.zeros((3, 4), np.uint8)
    one[0, 0], other[0, 0], other[1, 1] = MaskBit.BAD, MaskBit.COSMIC_RAY, MaskBit.SATURATED
    done = calculate(image(a, mask=one), Operation.SUB, image(b, mask=other))
    assert done.mask is not None
    assert done.mask[0, 0] == MaskBit.BAD | MaskBit.COSMIC_RAY
    assert done.mask[1, 1] == MaskBit.SATURATED
    assert done.mask[2, 2] == MaskBit.NO_DATA
    assert np.count_nonzero(done.mask) == 3
    assert one[0, 0] == MaskBit.BAD


def test_a_mask_of_two_axes_serves_each_plane_of_a_cube() -> None:
    cube = np.ones((3, 4, 5), np.float32)
    mask = np.zeros((4, 5), np.uint8)
    mask[1, 1] = MaskBit.BAD
    divisor = np.ones((3, 4, 5), np.float32)
    divisor[2, 0, 0] = 0
    done = calculate(image(cube, mask=mask), Operation.DIV, image(divisor))
    assert done.mask is not None
    assert done.mask[:, 1, 1].tolist() == [MaskBit.BAD] * 3
    assert done.mask[:, 0, 0].tolist() == [0, 0, MaskBit.NO_DATA]


def test_axes_of_one_pixel_do_not_count() -> None:
    done = calculate(image(A[None]), Operation.SUB, image(B))
    np.testing.assert_array_equal(done.image, (A - B)[None])


@pytest.mark.parametrize(
    ("first", "operation", "second", "expected"),
    [
        (u.adu, "ADD", u.adu, u.adu),
        (u.adu, "SUB", None, u.adu),
        (None, "SUB", u.adu, u.adu),
        (u.electron, "MUL", None, u.electron),
        (u.adu, "MUL", u.electron / u.adu, u.electron),
        (u.electron, "DIV", u.s, u.electron / u.s),
        (u.adu, "DIV", u.adu, u.dimensionless_unscaled),
        (None, "DIV", u.s, u.s**-1),
        (None, "ADD", None, None),
    ],
)
def test_units(first, operation, second, expected) -> None:
    done = calculate(image(A, unit=first), Operation(operation), image(B, unit=second))
    assert done.unit == expected


def test_the_second_is_brought_to_the_firsts_unit() -> None:
    done = calculate(
        image(A, unit=u.Jy), Operation.ADD, image(B, unit=u.mJy, variance=np.full(B.shape, 4.0))
    )
    np.testing.assert_allclose(done.image, A + B / 1000)
    np.testing.assert_allclose(done.variance, 4e-6)
    assert done.unit == u.Jy


def test_what_has_no_sum_is_refused_by_a_sentence() -> None:
    with pytest.raises(Unusable, match=r"is in adu and .* in electron"):
        calculate(image(A, unit=u.adu), Operation.SUB, image(B, unit=u.electron))
    with pytest.raises(Unusable, match=r"has 40 × 30 pixels and .* 39 × 30"):
        calculate(image(A), Operation.SUB, image(B[:, 1:]))
    with pytest.raises(Unusable, match="two plain numbers"):
        calculate(Operand("1", np.float64(1)), Operation.ADD, Operand("2", np.float64(2)))
    with pytest.raises(Unusable, match=r"the mask of a\.fits"):
        calculate(image(A, mask=np.zeros((3, 4), np.uint8)), Operation.ADD, image(B))


@pytest.mark.parametrize("operation", ["ADD", "SUB", "MUL", "DIV", "MIN", "MAX"])
def test_variances_are_those_of_many_noisy_frames(operation: str) -> None:
    rng = np.random.default_rng(3)
    noisy_a, noisy_b = rng.normal(100, 2, (4000, 60)), rng.normal(40, 0.7, (4000, 60))
    frames = calculate(image(noisy_a), Operation(operation), image(noisy_b)).image
    done = calculate(
        image(np.full((1, 1), 100.0), variance=np.full((1, 1), 4.0)),
        Operation(operation),
        image(np.full((1, 1), 40.0), variance=np.full((1, 1), 0.49)),
    )
    assert done.variance is not None
    assert float(done.variance[0, 0]) == pytest.approx(float(np.var(frames)), rel=0.02)


@given(st.sampled_from(list(Operation)), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_any_two_numbers_give_numpys_result_or_no_data(
    operation: Operation, a: float, b: float
) -> None:
    done = calculate(image(np.full((2, 2), a)), operation, Operand("b", np.float64(b)))
    value = float(done.image[0, 0])
    if np.isnan(value):
        assert done.mask is not None
        assert done.mask.all()
    else:
        assert np.isfinite(value)
        assert done.mask is None
