# The targets that kernels are compiled for, fastest first, the portable one last: the name and
# Halide's description. Every implied feature is named, because the run-time check tests only the
# named features. Bare avx512 does not compile in Halide 21; avx512_zen4,
# avx512_zen5 and avx10 do, but its run time cannot tell whether a CPU has them.

set(HALNORM_X86_TARGETS avx512 avx2 sse41)
set(HALNORM_HALIDE_TARGET_avx512 x86-64-linux-avx512_skylake-avx512-avx2-avx-fma-f16c-sse41)
set(HALNORM_HALIDE_TARGET_avx2 x86-64-linux-avx2-avx-fma-f16c-sse41)
set(HALNORM_HALIDE_TARGET_sse41 x86-64-linux-sse41)

# SVE is left out, because Halide 21 aborts on it, and runs it on vectors of another length
# (decision 011).
set(HALNORM_ARM64_TARGETS arm64_fp16 arm64)
set(HALNORM_HALIDE_TARGET_arm64_fp16 arm-64-linux-arm_fp16)
# For the other dtypes its code would be that of arm64.
set(HALNORM_ONLY_DTYPES_arm64_fp16 f16)
set(HALNORM_HALIDE_TARGET_arm64 arm-64-linux)

set(HALNORM_ARMHF_TARGETS armhf)
set(HALNORM_HALIDE_TARGET_armhf arm-32-linux)

# Kernels are also compiled for these devices: any of cuda, opencl. CUDA's are compiled to PTX for
# compute capability 8.0, which the driver translates for every newer GPU; OpenCL's need double.
set(HALNORM_DEVICES "" CACHE STRING "Devices: any of cuda, opencl")
set(HALNORM_DEVICE_TYPE_cuda CUDA)
set(HALNORM_DEVICE_TYPE_opencl OpenCL)
set(HALNORM_DEVICE_FEATURES_cuda cuda-cuda_capability_80)
set(HALNORM_DEVICE_FEATURES_opencl opencl-cl_doubles)

# Sets `out` to the devices of HALNORM_DEVICES, and describes each as a target whose host part runs
# on every CPU that `portable` runs on.
function(halnorm_chosen_devices portable out)
  string(REPLACE "," ";" devices "${HALNORM_DEVICES}")
  foreach(name IN LISTS devices)
    if(NOT name MATCHES "^(cuda|opencl)$")
      message(FATAL_ERROR "HALNORM_DEVICES: '${name}' is not one of cuda, opencl")
    endif()
    set(HALNORM_HALIDE_TARGET_${name}
        "${HALNORM_HALIDE_TARGET_${portable}}-${HALNORM_DEVICE_FEATURES_${name}}" PARENT_SCOPE)
  endforeach()
  set(${out} "${devices}" PARENT_SCOPE)
endfunction()

# Sets `out` to the targets of the architecture that is compiled for.
function(halnorm_known_targets out)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    set(${out} ${HALNORM_X86_TARGETS} PARENT_SCOPE)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
    set(${out} ${HALNORM_ARM64_TARGETS} PARENT_SCOPE)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm)") # a 64-bit kernel may have 32-bit programs
    set(${out} ${HALNORM_ARMHF_TARGETS} PARENT_SCOPE)
  else()
    message(FATAL_ERROR "there are no targets for '${CMAKE_SYSTEM_PROCESSOR}'")
  endif()
endfunction()

# Sets `out` to those of the targets named that this machine's CPU executes.
function(halnorm_host_targets out)
  try_run(
    HALNORM_HOST_RAN HALNORM_HOST_COMPILED
    SOURCES "${PROJECT_SOURCE_DIR}/cmake/host_targets.cpp"
            "${PROJECT_SOURCE_DIR}/runtime/kernels/cpu_features.cpp"
    CMAKE_FLAGS
      "-DINCLUDE_DIRECTORIES=${PROJECT_SOURCE_DIR}/runtime;${PROJECT_SOURCE_DIR}/include"
    CXX_STANDARD 20
    RUN_OUTPUT_VARIABLE names
    ARGS ${ARGN}
  )
  if(NOT HALNORM_HOST_COMPILED OR NOT HALNORM_HOST_RAN EQUAL 0)
    message(FATAL_ERROR "cannot tell what this machine runs: set HALNORM_TARGETS to a list")
  endif()
  set(${out} "${names}" PARENT_SCOPE)
endfunction()

# Whether the target has kernels of its own for one of the dtypes. For the others the next target's
# kernels run; the last one, `portable`, has all.
function(halnorm_has_dtypes target dtypes portable out)
  set(own ${HALNORM_ONLY_DTYPES_${target}})
  set(${out} OFF PARENT_SCOPE)
  foreach(dtype IN LISTS dtypes)
    if(target STREQUAL portable OR NOT own OR dtype IN_LIST own)
      set(${out} ON PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

# Sets `out` to the targets of HALNORM_TARGETS, in the order of the list above.
function(halnorm_chosen_targets out)
  halnorm_known_targets(known)
  if(HALNORM_TARGETS STREQUAL "host")
    halnorm_host_targets(wanted ${known})
  elseif(HALNORM_TARGETS STREQUAL "all")
    set(wanted ${known})
  elseif(HALNORM_TARGETS STREQUAL "portable")
    list(GET known -1 wanted)
  else()
    string(REPLACE "," ";" wanted "${HALNORM_TARGETS}")
  endif()
  foreach(name IN LISTS wanted)
    if(NOT name IN_LIST known)
      message(FATAL_ERROR "HALNORM_TARGETS: '${name}' is not one of host, all, portable, ${known}")
    endif()
  endforeach()
  set(chosen ${known})
  foreach(name IN LISTS known)
    if(NOT name IN_LIST wanted)
      list(REMOVE_ITEM chosen ${name})
    endif()
  endforeach()
  list(GET chosen -1 portable)
  halnorm_chosen_dtypes(dtypes)
  foreach(name IN LISTS chosen)
    halnorm_has_dtypes(${name} "${dtypes}" ${portable} has_any)
    if(NOT has_any)
      list(REMOVE_ITEM chosen ${name})
    endif()
  endforeach()
  set(${out} "${chosen}" PARENT_SCOPE)
endfunction()
