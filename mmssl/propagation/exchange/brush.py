"""The run lengths of Label Studio's brush: a packed bit stream of the red, green, blue and alpha bytes of a picture.

Head: number of values in 32 bits, bits a value less one in 5, four run sizes less one in 4 bits each. Then pieces: one bit says
whether it is a run, two bits choose a run size, that many bits hold the piece's length less one; a run is followed by one value,
another piece by all of its values. Highest bit first; the stream is a list of bytes. What is painted has alpha above 0.
"""

import numpy as np
from jaxtyping import Bool, UInt8

from mmssl.errors import LabelError
from mmssl.propagation.exchange.rle import to_counts

RUN_SIZES = (3, 6, 10, 16)
"""Bits of a run's length that are written."""
HEAD_BITS = 32 + 5 + 4 * 4
SIZE_OF_BITS = [next(index for index, bits in enumerate(RUN_SIZES) if needed <= bits) for needed in range(17)]
"""Which of `RUN_SIZES` holds a number of so many bits."""


def unpack(stream: list[int], size: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """The painted pixels.

    Args:
        stream: Bytes, 0 to 255.
        size: Height and width in pixels.

    Raises:
        LabelError: If the stream is cut short or of another size.
    """
    try:
        data = bytes(stream)
    except ValueError:
        raise LabelError("the brush stroke is not a list of bytes") from None
    bits = "".join(map("{:08b}".format, data))
    if len(bits) < HEAD_BITS:
        raise LabelError("the brush stroke is cut short")
    num_values, word = int(bits[:32], 2), int(bits[32:37], 2) + 1
    sizes = [int(bits[at : at + 4], 2) + 1 for at in range(37, HEAD_BITS, 4)]
    height, width = size
    if num_values != height * width * 4:
        raise LabelError(f"the brush stroke is of {num_values // 4} pixels, the video has {width} x {height}")
    values = _pieces(bits, num_values, word, sizes)
    return values.reshape(height, width, 4)[..., 3] > 0


def _pieces(bits: str, num_values: int, word: int, sizes: list[int]) -> UInt8[np.ndarray, " values"]:
    values = np.zeros(num_values, dtype=np.uint8)
    at, filled = HEAD_BITS, 0
    while filled < num_values:
        if at + 3 > len(bits):
            raise LabelError("the brush stroke is cut short")
        is_run, length_bits = bits[at] == "1", sizes[int(bits[at + 1 : at + 3], 2)]
        at += 3
        length = int(bits[at : at + length_bits] or "0", 2) + 1
        at += length_bits
        given = word if is_run else word * length
        if at + given > len(bits) or filled + length > num_values:
            raise LabelError("the brush stroke is cut short or damaged")
        if is_run:
            values[filled : filled + length] = int(bits[at : at + word], 2) > 0
        else:
            digits = np.frombuffer(bits[at : at + given].encode(), dtype=np.uint8).reshape(length, word)
            values[filled : filled + length] = (digits != ord("0")).any(axis=1)
        at += given
        filled += length
    return values


def pack(mask: Bool[np.ndarray, "height width"]) -> list[int]:
    """A mask as Label Studio's own export has it: white and opaque where painted, else 0."""
    head = f"{mask.size * 4:032b}{7:05b}" + "".join(f"{bits - 1:04b}" for bits in RUN_SIZES)
    pieces = [head]
    for position, count in enumerate((to_counts(mask.reshape(-1)) * 4).tolist()):
        value = "11111111" if position % 2 else "00000000"
        left = count
        while left:
            length = min(left, 1 << RUN_SIZES[-1])
            choice = SIZE_OF_BITS[(length - 1).bit_length()]
            pieces.append(f"1{choice:02b}{length - 1:0{RUN_SIZES[choice]}b}{value}")
            left -= length
    bits = "".join(pieces)
    padded = bits + "0" * (-len(bits) % 8)
    return list(int(padded, 2).to_bytes(len(padded) // 8, "big"))
