// A training call through the C interface, with no crate but std:
//
//   rustc --edition 2021 normalize.rs -C link-args="libhalnorm.a libhalnorm_kernels.a -lstdc++ -lm"

use std::ffi::{c_char, c_int, c_void, CStr};
use std::ptr::null;

// The structures of dlpack/dlpack.h.
#[repr(C)]
struct DLDevice {
    device_type: c_int,
    device_id: c_int,
}

#[repr(C)]
struct DLDataType {
    code: u8,
    bits: u8,
    lanes: u16,
}

#[repr(C)]
struct DLTensor {
    data: *mut c_void,
    device: DLDevice,
    ndim: c_int,
    dtype: DLDataType,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

extern "C" {
    fn halnorm_last_error() -> *const c_char;
    #[allow(clippy::too_many_arguments)]
    fn halnorm_batch_norm_train(
        x: *const DLTensor,
        weight: *const DLTensor,
        bias: *const DLTensor,
        running_mean: *const DLTensor,
        running_var: *const DLTensor,
        momentum: f64,
        eps: f64,
        y: *const DLTensor,
        mean: *const DLTensor,
        invstd: *const DLTensor,
    ) -> c_int;
}

/// Borrows data and shape for as long as the tensor is used.
fn tensor<T>(data: &mut [T], shape: &mut [i64]) -> DLTensor {
    let bits = 8 * std::mem::size_of::<T>() as u8;
    DLTensor {
        data: data.as_mut_ptr().cast(),
        device: DLDevice { device_type: 1, device_id: 0 },
        ndim: shape.len() as c_int,
        dtype: DLDataType { code: 2, bits, lanes: 1 },
        shape: shape.as_mut_ptr(),
        strides: std::ptr::null_mut(),
        byte_offset: 0,
    }
}

/// y and the running statistics are written in place. A status that is not 0 becomes its message.
fn train(x: &DLTensor, mean: &DLTensor, var: &DLTensor, y: &DLTensor) -> Result<(), String> {
    let none = null();
    let status = unsafe {
        halnorm_batch_norm_train(x, none, none, mean, var, 0.1, 1e-5, y, none, none)
    };
    match status {
        0 => Ok(()),
        _ => Err(unsafe { CStr::from_ptr(halnorm_last_error()) }.to_string_lossy().into_owned()),
    }
}

fn main() {
    let (mut x, mut y) = ([1f32, 2., 3., 5.], [0f32; 4]);
    let (mut mean, mut var) = ([0f32; 2], [1f32; 2]);
    let (mut shape, mut channels) = ([2i64, 2], [2i64]);
    let (mut longer, mut longer_shape) = ([0f32; 3], [3i64]);
    let x_tensor = tensor(&mut x, &mut shape);
    let y_tensor = tensor(&mut y, &mut shape);
    let var_tensor = tensor(&mut var, &mut channels);

    let error = train(&x_tensor, &tensor(&mut longer, &mut longer_shape), &var_tensor, &y_tensor);
    println!("refused: {}", error.unwrap_err());
    train(&x_tensor, &tensor(&mut mean, &mut channels), &var_tensor, &y_tensor).unwrap();
    println!("y {y:?}, running mean {mean:?}");
    assert!((y[0] + 1.).abs() < 1e-4 && (y[3] - 1.).abs() < 1e-4);
    assert!((mean[0] - 0.2).abs() < 1e-6 && (mean[1] - 0.35).abs() < 1e-6);
}
