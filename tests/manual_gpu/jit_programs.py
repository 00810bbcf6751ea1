"""Programs that compile by way of each JIT compiler, run on the GPU, and check the result.

Text, not code: the closure's interpreter runs them, with modules that no developer needs to have.
"""

from typing import NamedTuple

KERNEL = """\
#include <cub/block/block_reduce.cuh>
#include <cuda_fp16.h>

extern "C" __global__ void total(const __half* in, float* out, int n) {
  using Reduce = cub::BlockReduce<float, 256>;
  __shared__ typename Reduce::TempStorage storage;
  float mine = 0;
  for (int i = threadIdx.x; i < n; i += 256) mine += __half2float(in[i]);
  float all = Reduce(storage).Sum(mine);
  if (threadIdx.x == 0) *out = all;
}
"""
"""Adds up halves, with cub and CUDA's own types."""

_TORCH_EXTENSION = f'''\
import os, tempfile, torch
from torch.utils import cpp_extension

KERNEL = r"""{KERNEL}
void launch(const void* in, float* out, int n, cudaStream_t stream) {{
  total<<<1, 256, 0, stream>>>(static_cast<const __half*>(in), out, n);
}}
"""
BINDING = r"""
#include <c10/cuda/CUDAStream.h>
#include <torch/extension.h>
void launch(const void* in, float* out, int n, cudaStream_t stream);
torch::Tensor total(torch::Tensor in) {{
  auto out = torch::empty({{}}, in.options().dtype(torch::kFloat32));
  launch(in.data_ptr(), out.data_ptr<float>(), in.numel(), c10::cuda::getCurrentCUDAStream());
  return out;
}}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {{ m.def("total", &total); }}
"""
directory = tempfile.mkdtemp()
sources = {{"kernel.cu": KERNEL, "binding.cpp": BINDING}}
for name, text in sources.items():
    with open(os.path.join(directory, name), "w") as stream:
        stream.write(text)
files = [os.path.join(directory, name) for name in sources]
module = cpp_extension.load("nixenv_proof", files, verbose=True)
numbers = torch.arange(1000, dtype=torch.float16, device="cuda")
assert module.total(numbers).item() == 499500
'''

_TRITON = """\
import torch, triton
import triton.language as tl

@triton.jit
def add(x, y, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    within = at < n
    tl.store(out + at, tl.load(x + at, within) + tl.load(y + at, within), within)

x, y = torch.randn(2, 100_000, device="cuda")
out = torch.empty_like(x)
add[(triton.cdiv(x.numel(), 1024),)](x, y, out, x.numel(), BLOCK=1024)
assert torch.equal(out, x + y)
"""

_INDUCTOR = """\
import torch

def rule(x):
    return torch.softmax(x.sin() + 2 * x, dim=-1).sum(0)

for device in ("cuda", "cpu"):
    x = torch.randn(512, 512, device=device)
    torch.testing.assert_close(torch.compile(rule)(x), rule(x), rtol=1e-4, atol=1e-4)
"""

_INDUCTOR_WRAPPER = """\
import torch

def rule(x):
    return torch.softmax(x.sin() + 2 * x, dim=-1).sum(0)

x = torch.randn(512, 512, device="cuda")
compiled = torch.compile(rule, options={"cpp_wrapper": True})
torch.testing.assert_close(compiled(x), rule(x), rtol=1e-4, atol=1e-4)
"""

_TVM_FFI = f'''\
import torch, tvm_ffi.cpp

module = tvm_ffi.cpp.load_inline(
    name="nixenv_proof",
    cuda_sources=r"""{KERNEL}
void run(tvm::ffi::TensorView in, tvm::ffi::TensorView out) {{
  auto device = in.device();
  auto stream = TVMFFIEnvGetStream(device.device_type, device.device_id);
  total<<<1, 256, 0, static_cast<cudaStream_t>(stream)>>>(
      static_cast<const __half*>(in.data_ptr()), static_cast<float*>(out.data_ptr()), in.numel());
}}
""",
    functions=["run"],
)
out = torch.empty(1, device="cuda")
module.run(torch.arange(1000, dtype=torch.float16, device="cuda"), out)
assert out.item() == 499500
'''

_FLASHINFER_NORM = """\
import flashinfer, torch

x = torch.randn(32, 4096, dtype=torch.float16, device="cuda")
weight = torch.randn(4096, dtype=torch.float16, device="cuda")
wide = x.float()
expected = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6) * weight.float()
found = flashinfer.rmsnorm(x, weight, eps=1e-6)
torch.testing.assert_close(found.float(), expected, rtol=1e-2, atol=1e-2)
"""

_FLASHINFER_DECODE = """\
import flashinfer, torch

q = torch.randn(32, 128, dtype=torch.float16, device="cuda")
k, v = torch.randn(2, 2048, 8, 128, dtype=torch.float16, device="cuda")
keys, values = (part.float().repeat_interleave(4, dim=1) for part in (k, v))
weights = torch.einsum("hd,nhd->hn", q.float(), keys).div(128**0.5).softmax(-1)
expected = torch.einsum("hn,nhd->hd", weights, values)
found = flashinfer.single_decode_with_kv_cache(q, k, v)
torch.testing.assert_close(found.float(), expected, rtol=1e-2, atol=1e-2)
"""

_CUPY = f'''\
import sys, cupy

SOURCE = r"""{KERNEL}"""
numbers = cupy.arange(1000).astype(cupy.float16)
out = cupy.zeros(1, dtype=cupy.float32)
module = cupy.RawModule(code=SOURCE, backend=sys.argv[1], options=("-std=c++17",))
module.get_function("total")((1,), (256,), (numbers, out, cupy.int32(1000)))
assert out.item() == 499500
'''


class Program(NamedTuple):
    """A program for the closure's interpreter.

    Attributes:
        name: What it tries.
        package: Whose compiler that is.
        text: Its text.
        arguments: Its command line.
    """

    name: str
    package: str
    text: str
    arguments: tuple[str, ...] = ()


PROGRAMS = (
    Program("torch.utils.cpp_extension.load, C++ and CUDA", "torch", _TORCH_EXTENSION),
    Program("triton", "triton", _TRITON),
    Program("torch.compile, on GPU and CPU", "torch", _INDUCTOR),
    Program("torch.compile with cpp_wrapper", "torch", _INDUCTOR_WRAPPER),
    Program("tvm_ffi.cpp.load_inline", "tvm_ffi", _TVM_FFI),
    Program("flashinfer.rmsnorm", "flashinfer", _FLASHINFER_NORM),
    Program("flashinfer.single_decode_with_kv_cache", "flashinfer", _FLASHINFER_DECODE),
    Program("cupy.RawModule with cub, by nvcc", "cupy", _CUPY, ("nvcc",)),
    Program("cupy.RawModule with cub, by NVRTC", "cupy", _CUPY, ("nvrtc",)),
)

TELL_LOADED = """
print("loaded", *sorted({
    line.split()[-1] for line in open("/proc/self/maps")
    if "/libcudart" in line or "/libnvrtc.so" in line
}))
"""
"""Appended to each program: which of CUDA's libraries it has loaded, in one line."""
