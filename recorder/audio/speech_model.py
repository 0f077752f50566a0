"""Computes the probability of speech for every 32 ms: the Silero VAD network, in numpy.

Its weights (``models/``, MIT) are those of ``silero_vad_16k_op15.onnx`` in silero-vad 6.2.3, unchanged. The
network is small, and numpy spares the daemon a runtime of 25 MB that does not exist for every processor.
numpy releases the GIL meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE: Final = 16_000
STEP: Final = 512
"""Samples per result."""

WEIGHTS: Final = Path(__file__).parent / "models" / "silero-vad-6.2.3.npz"

_BEFORE, _AFTER = 64, 64
"""Samples that each step sees of the one before it, and of itself mirrored at its end."""

_FFT, _HOP = 256, 128
_STRIDES: Final = {1: 1, 2: 2, 3: 2, 4: 1}
_UNITS: Final = 128

Array = NDArray[np.float32]


def speech_probabilities(samples: Array) -> Array:
    """For each whole step of samples at :data:`RATE`: the probability of speech, 0 to 1."""
    count = len(samples) // STEP
    if not count:
        return np.zeros(0, np.float32)
    weights = _weights()
    layer_input = _convolve(_spectrum(samples, count, weights["stft"][:, 0]), 1, weights)
    for layer in (2, 3, 4):
        layer_input = _convolve(layer_input, layer, weights)
    output = np.maximum(_recur(layer_input[:, 0], weights), 0) @ weights["out_weight"][0, :, 0]
    return _sigmoid(output + weights["out_bias"])


@cache
def _weights() -> Mapping[str, Array]:
    with np.load(WEIGHTS, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _spectrum(samples: Array, count: int, basis: Array) -> Array:
    """The magnitude spectrum, shape (steps, 4, 129)."""
    whole = np.concatenate([np.zeros(_BEFORE, np.float32), samples.astype(np.float32, copy=False)])
    steps = np.lib.stride_tricks.sliding_window_view(whole, _BEFORE + STEP)[::STEP][:count]
    padded = np.pad(steps, ((0, 0), (0, _AFTER)), mode="reflect")
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _FFT, axis=1)[:, ::_HOP]
    waves = pieces @ basis.T
    half = len(basis) // 2
    power: Array = np.sqrt(waves[..., :half] ** 2 + waves[..., half:] ** 2)
    return power


def _convolve(layer_input: Array, layer: int, weights: Mapping[str, Array]) -> Array:
    """One of three convolutions, and its ReLU: (steps, time, channels)."""
    kernel, stride = weights[f"conv{layer}_weight"], _STRIDES[layer]
    padded = np.pad(layer_input, ((0, 0), (1, 1), (0, 0)))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2], axis=1)[:, ::stride]
    output: Array = np.einsum("ntck,ock->nto", pieces, kernel, optimize=True) + weights[f"conv{layer}_bias"]
    return np.maximum(output, np.float32(0))


def _recur(layer_input: Array, weights: Mapping[str, Array]) -> Array:
    """The recurrent layer (LSTM): each step's output given those before it."""
    gates = layer_input @ weights["lstm_weight_ih"].T + weights["lstm_bias_ih"] + weights["lstm_bias_hh"]
    back = np.ascontiguousarray(weights["lstm_weight_hh"].T)
    state, cell = np.zeros(_UNITS, np.float32), np.zeros(_UNITS, np.float32)
    outputs = np.empty_like(layer_input)
    for number, row in enumerate(gates):
        gate = row + state @ back
        let_in, keep, new, let_out = np.split(gate, 4)
        cell = _sigmoid(keep) * cell + _sigmoid(let_in) * np.tanh(new)
        state = _sigmoid(let_out) * np.tanh(cell)
        outputs[number] = state
    return outputs


def _sigmoid(x: Array) -> Array:
    output: Array = np.float32(1) / (np.float32(1) + np.exp(-np.clip(x, -60, 60)))
    return output
