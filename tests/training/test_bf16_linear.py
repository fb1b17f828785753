"""Products of bfloat16 factors: as near to the exact ones as eight digits allow, and nothing else is rounded."""

import torch
from torch.nn import functional

from fenestra.training.network.bf16_linear import bf16_linear, linear_function

DIGIT = 2.0**-8  # largest relative error of a number with eight binary digits


def near(found, left, right):
    """Whether each number is the product's, up to the rounding of the factors; right too where nothing is rounded."""
    exact = left.double() @ right.double()
    bound = 2.1 * DIGIT * (left.double().abs() @ right.double().abs())
    return bool(((found.double() - exact).abs() <= bound).all())


def test_the_product_and_both_gradients_are_those_of_the_formula():
    torch.manual_seed(1)
    x, weight, slope = torch.randn(37, 50), torch.randn(21, 50), torch.randn(37, 21)
    x.requires_grad_()
    weight.requires_grad_()
    product = bf16_linear(x, weight)
    assert len(product) == 64
    assert not product[37:].any()
    product[:37].backward(slope)
    with torch.no_grad():
        assert near(product[:37], x, weight.T)
        assert near(x.grad, slope, weight)
        assert near(weight.grad, slope.T, x)
    assert product.dtype == x.grad.dtype == weight.grad.dtype == torch.float32


def test_other_products_are_not_rounded():
    torch.manual_seed(1)
    x, weight = torch.randn(64, 300), torch.randn(300, 300)
    before = x @ weight
    bf16_linear(x, weight.T)
    assert torch.equal(x @ weight, before)


def test_factors_are_rounded_only_if_it_is_asked_for_and_the_processor_can():
    cpu, able = torch.device("cpu"), torch.cpu.get_capabilities().get("amx_bf16", False)
    assert linear_function("float32", cpu) is functional.linear
    assert linear_function("bfloat16", cpu) is (bf16_linear if able else functional.linear)
    assert linear_function("bfloat16", torch.device("cuda")) is functional.linear
