"""What is compiled: small, and with a result that can be checked."""

KERNEL = r"""
#include <cuda_fp16.h>
#include <nv/target>

__global__ void square(const int *in, int *out) {
  NV_IF_TARGET(NV_IS_DEVICE, (out[threadIdx.x] = in[threadIdx.x] * in[threadIdx.x];));
}

// The sum of the squares of 0 to 31, 10416, or minus CUDA's error.
extern "C" int nixenv_run_kernel(int device) {
  int numbers[32], *in = nullptr, *out = nullptr, sum = 0;
  for (int i = 0; i < 32; ++i) numbers[i] = i;
  cudaError_t error = cudaSetDevice(device);
  if (error == cudaSuccess) error = cudaMalloc((void **)&in, sizeof numbers);
  if (error == cudaSuccess) error = cudaMalloc((void **)&out, sizeof numbers);
  if (error == cudaSuccess)
    error = cudaMemcpy(in, numbers, sizeof numbers, cudaMemcpyHostToDevice);
  if (error == cudaSuccess) square<<<1, 32>>>(in, out);
  if (error == cudaSuccess) error = cudaGetLastError();
  if (error == cudaSuccess)
    error = cudaMemcpy(numbers, out, sizeof numbers, cudaMemcpyDeviceToHost);
  cudaFree(in);
  cudaFree(out);
  for (int i = 0; i < 32; ++i) sum += numbers[i];
  return error == cudaSuccess ? sum : -(int)error;
}
"""

HOST = r"""
#include <cuda_runtime.h>

extern "C" int nixenv_runtime_version(void) {
  int version = 0;
  return cudaRuntimeGetVersion(&version) == cudaSuccess ? version : -1;
}
"""

# As triton writes a launcher for each kernel: C, the driver's API, and Python's.
LAUNCHER = r"""
#include "cuda.h"
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *device_count(PyObject *self, PyObject *args) {
  int count = 0;
  (void)self; (void)args;
  if (cuInit(0) != CUDA_SUCCESS || cuDeviceGetCount(&count) != CUDA_SUCCESS) count = -1;
  return PyLong_FromLong(count);
}
static PyMethodDef methods[] = {{"device_count", device_count, METH_NOARGS, ""}, {0}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "nixenv_launcher", "", -1, methods};
PyMODINIT_FUNC PyInit_nixenv_launcher(void) { return PyModule_Create(&definition); }
"""
