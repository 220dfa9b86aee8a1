"""What NVRTC makes of the kernels, executed on the CPU: the engine matrix, and the translator by itself."""

from __future__ import annotations

import ctypes
import subprocess

import numpy as np
import pytest

from qmltrain.engines.cuda import CudaEngine
from tests.engines.cuda import nvrtc
from tests.engines.cuda.emulator_device import EMULATOR, compiler
from tests.engines.cuda.matrix import EngineMatrix
from tests.engines.cuda.ptx.device import HELPERS, PtxDevice
from tests.engines.cuda.ptx.operations import PtxError
from tests.engines.cuda.ptx.translator import translated

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler: the CUDA emulator needs g++")
needs_nvrtc = pytest.mark.skipif(nvrtc.library() is None, reason=nvrtc.ADVICE)
HEAD = """
.version 9.0
.target sm_90
.address_size 64
.visible .entry sample(
	.param .u64 sample_param_0,
	.param .u32 sample_param_1
)
.maxntid 32, 1, 1
{
	.reg .pred 	%p<9>;
	.reg .b16 	%rs<9>;
	.reg .f32 	%f<9>;
	.reg .b32 	%r<9>;
	.reg .f64 	%fd<9>;
	.reg .b64 	%rd<9>;
	ld.param.u64 	%rd1, [sample_param_0];
	ld.param.u32 	%r1, [sample_param_1];
	cvta.to.global.u64 	%rd2, %rd1;
	mov.u32 	%r2, %tid.x;
	mul.wide.u32 	%rd3, %r2, 4;
	add.s64 	%rd4, %rd2, %rd3;
"""


@needs_compiler
@needs_nvrtc
@pytest.mark.slow
class TestCompiled(EngineMatrix):
    def engine(self, tile: tuple[int, int] | None = None) -> CudaEngine:
        return CudaEngine(PtxDevice(), *(tile or (None, None)))


@needs_compiler
@needs_nvrtc
@pytest.mark.slow
class TestCompiledTwoSamples(EngineMatrix):
    def engine(self, tile: tuple[int, int] | None = None) -> CudaEngine:
        return CudaEngine(PtxDevice(), *(tile or (None, None)), two_samples=True)


def executed(body: str, values: np.ndarray, number: int, folder) -> np.ndarray:  # noqa: ANN001
    """`values` (32,) of 4 bytes, one for each lane at %rd4, after a kernel with this body; `number` is %r1."""
    source, built = folder / "sample.cpp", folder / "sample.so"
    source.write_text(translated(HEAD + body + "\n\tret;\n}\n"))
    command = [str(compiler()), "-std=c++17", "-mfma", "-ffp-contract=off", "-fPIC", "-w", "-shared"]
    subprocess.run([*command, f"-I{EMULATOR}", f"-I{HELPERS}", str(source), "-o", str(built)], check=True)
    loaded, result = ctypes.CDLL(str(built)), values.copy()
    arguments = (np.array(result.ctypes.data, np.uint64), np.array(number, np.uint32))
    pointers = (ctypes.c_void_p * 2)(*[argument.ctypes.data for argument in arguments])
    loaded.emulate_sample((ctypes.c_uint * 6)(1, 1, 1, 32, 1, 1), ctypes.c_size_t(0), pointers)
    assert [loaded.parameter_bytes_sample(i) for i in range(3)] == [8, 4, -1]
    return result


@needs_compiler
def test_arithmetic_shuffles_and_jumps(tmp_path):
    body = """
	ld.global.u32 	%r3, [%rd4];
	shfl.sync.bfly.b32 	%r4|%p1, %r3, 8, 31, -1;
	setp.gt.s32 	%p2, %r4, %r1;
	@%p2 bra 	$L__BB0_2;
	sub.s32 	%r4, %r1, %r4;
	shr.s32 	%r4, %r4, 1;
	bfi.b32 	%r4, %r2, %r4, 24, 8;
$L__BB0_2:
	selp.b32 	%r5, %r4, 7, %p2;
	xor.b32  	%r6, %r5, %r4;
	@!%p2 mov.u32 	%r6, %r4;
	st.global.u32 	[%rd4], %r6;
"""
    values = np.arange(-16, 16, dtype=np.int32) * 1001
    other = values[np.arange(32) ^ 8]
    low = (((5 - other) >> 1) & 0xFFFFFF) | np.arange(32) << 24
    found = executed(body, values, 5, tmp_path)
    np.testing.assert_array_equal(found, np.where(other > 5, 0, low).astype(np.int32))


@needs_compiler
@pytest.mark.parametrize(("suffix", "kept"), [("", True), (".ftz", False)])
def test_denormal_floats_are_flushed_where_it_was_compiled_so(suffix, kept, tmp_path):
    body = f"""
	ld.global.f32 	%f1, [%rd4];
	mul{suffix}.f32 	%f2, %f1, 0f3F000000;
	fma.rn{suffix}.f32 	%f3, %f2, 0f40000000, 0f00000000;
	st.global.f32 	[%rd4], %f3;
"""
    values = np.full(32, 1e-38, np.float32)  # half of it is denormal
    np.testing.assert_array_equal(executed(body, values, 0, tmp_path), values if kept else 0 * values)


@pytest.mark.parametrize("statement", ["sqrt.rn.f32 %f1, %f2;", "ld.local.u32 %r3, [%rd4];", "mov.u32 %q1, 3;", "%%;"])
def test_what_is_not_known_is_refused_with_its_line(statement):
    line = HEAD.count("\n") + 1
    with pytest.raises(PtxError, match=f"PTX line {line}: .*: "):
        translated(HEAD + statement + "\n}\n")
