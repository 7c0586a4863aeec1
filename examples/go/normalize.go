// Inference through the C interface, with cgo. Its memory is C's: cgo does not let C keep or follow
// pointers into Go's, and a DLTensor points to its data and its shape.
package main

/*
#include <halnorm/halnorm_c.h>
#include <stdlib.h>

static DLTensor make(float* data, int ndim, int64_t* shape) {
  const DLDevice cpu = {kDLCPU, 0};
  const DLDataType f32 = {kDLFloat, 32, 1};
  const DLTensor t = {data, cpu, ndim, f32, shape, NULL, 0};
  return t;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"
)

// A tensor of float32 in C's memory, and its values as a slice.
type tensor struct {
	dl     *C.DLTensor
	values []float32
}

func newTensor(values []float32, shape ...int64) tensor {
	data := (*C.float)(C.malloc(C.size_t(4 * len(values))))
	extents := (*C.int64_t)(C.malloc(C.size_t(8 * len(shape))))
	copy(unsafe.Slice((*int64)(unsafe.Pointer(extents)), len(shape)), shape)
	dl := (*C.DLTensor)(C.malloc(C.sizeof_DLTensor))
	*dl = C.make(data, C.int(len(shape)), extents)
	view := unsafe.Slice((*float32)(unsafe.Pointer(data)), len(values))
	copy(view, values)
	return tensor{dl, view}
}

// The message is the thread's: a goroutine has to stay on it in between.
func infer(x, mean, variance, y tensor) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if C.halnorm_batch_norm_infer(x.dl, mean.dl, variance.dl, nil, nil, 1e-5, y.dl) != C.HALNORM_OK {
		return errors.New(C.GoString(C.halnorm_last_error()))
	}
	return nil
}

func main() {
	x := newTensor([]float32{1, 10, 3, 30}, 2, 2)
	y := newTensor(make([]float32, 4), 2, 2)
	mean, variance := newTensor([]float32{2, 20}, 2), newTensor([]float32{4, 400}, 2)
	if err := infer(x, mean, variance, y); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(y.values)
	if y.values[0] > -0.4999 || y.values[0] < -0.5001 {
		os.Exit(1)
	}
}
