# The one list of kernels: what is not here is neither compiled, nor in the table, nor tested.

# The dtypes of data. A library that never sees narrow data is half as large without them: f32;f64.
set(known_dtypes f16 bf16 f32 f64)
set(HALNORM_DTYPES "${known_dtypes}"
    CACHE STRING "Dtypes of data: f32 and f64, and any of f16, bf16")
foreach(dtype IN LISTS HALNORM_DTYPES ITEMS f32 f64)
  if(NOT dtype IN_LIST known_dtypes OR NOT dtype IN_LIST HALNORM_DTYPES)
    message(FATAL_ERROR "HALNORM_DTYPES is '${HALNORM_DTYPES}', wanted f32 and f64 and others of "
                        "'${known_dtypes}'")
  endif()
endforeach()
if(HALNORM_TESTS AND NOT HALNORM_DTYPES STREQUAL known_dtypes)
  message(FATAL_ERROR "the tests run every dtype: with HALNORM_DTYPES goes -DHALNORM_TESTS=OFF")
endif()
# Each one's name, the same for Halide's compiler and for halnorm::name_of(DType).
set(HALNORM_TYPE_f16 float16)
set(HALNORM_TYPE_bf16 bfloat16)
set(HALNORM_TYPE_f32 float32)
set(HALNORM_TYPE_f64 float64)

set(HALNORM_OPERATIONS
    batch_norm_train
    batch_norm_infer
    batch_norm_backward
    batch_norm_backward_infer
    batch_norm_moments
    batch_norm_elemt
    batch_norm_backward_reduce
    batch_norm_backward_elemt
    batch_norm_fused_train
    batch_norm_fused_infer
    batch_norm_fused_backward
    batch_norm_fused_backward_infer
    update_running_stats
)
# With running statistics that are updated on the way, and with gradients that are added to others;
# and all of it in one launch, for few values: what saves launches.
set(HALNORM_DEVICE_OPERATIONS
    batch_norm_train_update
    batch_norm_train_update_small
    batch_norm_fused_train_small
    batch_norm_fused_train_update
    batch_norm_fused_train_update_small
    batch_norm_backward_add
    batch_norm_backward_add_small
    batch_norm_fused_backward_small
    batch_norm_fused_backward_add
    batch_norm_fused_backward_add_small
)
# The same for small calls, with the same arguments: on devices in one launch, on CPUs in one loop.
set(HALNORM_SMALL_OPERATIONS batch_norm_train_small batch_norm_backward_small)
# The CPU targets that gain by it: what a row has beyond whole vectors takes masks, and without them
# a training call on (20, 100) became 1 to 6 % slower.
set(HALNORM_SMALL_CPUS avx512 avx2)
# The same for data beyond the caches: decisions 013 and 015. In NLC the statistics come in a pass
# of their own anyway.
set(HALNORM_STREAM_OPERATIONS
    batch_norm_train_stream
    batch_norm_backward_stream
    batch_norm_moments_stream
    batch_norm_elemt_stream
    batch_norm_backward_reduce_stream
    batch_norm_backward_elemt_stream
)
set(HALNORM_STREAM_CPUS avx512 avx2)

# The same for channels of few values: float32's roundings would show in their statistics, and sums
# in double cost little there. Without float16's and bfloat16's forms: their values are rounded to
# fewer digits than the sums.
set(HALNORM_EXACT_OPERATIONS
    batch_norm_train_exact
    batch_norm_backward_exact
    batch_norm_moments_exact
    batch_norm_backward_reduce_exact
)

# update_running_stats has one value a channel, and so no layout of its own. In NCL a CPU's kernel
# is one loop over channels already. No layout, no kernel.
function(halnorm_layouts_of operation target out)
  if(operation STREQUAL "update_running_stats")
    set(${out} c PARENT_SCOPE)
  elseif(operation IN_LIST HALNORM_SMALL_OPERATIONS AND target IN_LIST HALNORM_SMALL_CPUS)
    set(${out} nlc PARENT_SCOPE)
  elseif(operation IN_LIST HALNORM_SMALL_OPERATIONS AND NOT DEFINED HALNORM_DEVICE_TYPE_${target})
    set(${out} "" PARENT_SCOPE)
  elseif(operation IN_LIST HALNORM_DEVICE_OPERATIONS AND NOT DEFINED HALNORM_DEVICE_TYPE_${target})
    set(${out} "" PARENT_SCOPE)
  elseif(operation IN_LIST HALNORM_STREAM_OPERATIONS AND NOT target IN_LIST HALNORM_STREAM_CPUS)
    set(${out} "" PARENT_SCOPE)
  elseif(operation IN_LIST HALNORM_EXACT_OPERATIONS AND DEFINED HALNORM_DEVICE_TYPE_${target})
    set(${out} "" PARENT_SCOPE)
  elseif(operation MATCHES "^batch_norm_(train|backward)_stream$")
    set(${out} ncl PARENT_SCOPE)
  else()
    set(${out} ncl nlc PARENT_SCOPE)
  endif()
endfunction()

# update_running_stats knows no data, only statistics, and those of narrow data are f32.
function(halnorm_dtypes_of operation out)
  if(operation STREQUAL "update_running_stats")
    set(${out} f32 f64 PARENT_SCOPE)
  elseif(operation IN_LIST HALNORM_EXACT_OPERATIONS)
    set(${out} f32 PARENT_SCOPE)
  else()
    set(${out} ${HALNORM_DTYPES} PARENT_SCOPE)
  endif()
endfunction()

# The runtime checks what it hands to a kernel; those who call kernels without it may want a second
# check, which is half of a kernel's code. Kernels of devices have theirs anyway: they are few.
option(HALNORM_KERNEL_CHECKS "Kernels check their buffers: for calls without the runtime" OFF)

set(HALNORM_RUNGEN "" CACHE STRING "Kernels to link with Halide's RunGen as <kernel>.rungen")

# A program that runs and times one kernel on given sizes; see docs/tuning.md.
function(halnorm_add_rungen kernel registration)
  add_executable(${kernel}.rungen "${halide_tools_dir}/RunGenMain.cpp" "${registration}")
  target_compile_features(${kernel}.rungen PRIVATE cxx_std_17)
  target_compile_definitions(${kernel}.rungen PRIVATE HALIDE_NO_PNG HALIDE_NO_JPEG)
  target_link_libraries(${kernel}.rungen PRIVATE ${kernel})
endfunction()

# The kernel again, from its assembly, with streaming stores and fetches: see streaming.cmake.
function(halnorm_add_streaming operation kernel assembly)
  set(writes ON)
  if(operation MATCHES "moments|reduce")
    set(writes OFF)
  endif()
  set(rewritten "${CMAKE_CURRENT_BINARY_DIR}/${kernel}.streaming.s")
  set(script "${PROJECT_SOURCE_DIR}/cmake/streaming.cmake")
  add_custom_command(
    OUTPUT "${rewritten}"
    COMMAND "${CMAKE_COMMAND}" -D "from=${assembly}" -D "to=${rewritten}" -D writes=${writes}
            -P "${script}"
    DEPENDS "${assembly}" "${script}"
    COMMENT "Streaming of ${kernel}"
    VERBATIM
  )
  add_library(${kernel}_streaming STATIC "${rewritten}")
endfunction()

# Compiles one kernel into a library and a function of the same name,
# halnorm_<operation>_<layout>_<dtype>__<target>: the only caller of add_halide_library.
function(halnorm_add_kernel operation layout dtype target)
  set(name halnorm_${operation}_${layout}_${dtype}__${target})
  set(params dtype=${HALNORM_TYPE_${dtype}})
  if(NOT layout STREQUAL "c")
    list(APPEND params layout=${layout})
  endif()
  if(NOT HALNORM_KERNEL_CHECKS AND NOT DEFINED HALNORM_DEVICE_TYPE_${target})
    list(APPEND params checks=false)
  endif()
  list(JOIN params " " words)
  set_property(
    GLOBAL APPEND PROPERTY HALNORM_RECIPES
    "${operation}\t${layout}\t${dtype}\t${target}\t${HALNORM_HALIDE_TARGET_${target}}\t${words}"
  )
  list(APPEND params ${HALNORM_TUNED_${operation}_${layout}_${dtype}_${target}})
  set(extra "")
  if(name IN_LIST HALNORM_RUNGEN)
    list(APPEND extra REGISTRATION registration_file)
  endif()
  if(operation IN_LIST HALNORM_STREAM_OPERATIONS)
    list(APPEND extra ASSEMBLY assembly)
  endif()
  add_halide_library(
    ${name}
    FROM halnorm_generators
    GENERATOR ${operation}
    TARGETS ${HALNORM_HALIDE_TARGET_${target}}
    USE_RUNTIME halnorm_halide_runtime
    PARAMS ${params}
    ${extra}
  )
  if(registration_file)
    halnorm_add_rungen(${name} "${registration_file}")
  endif()
  if(assembly)
    halnorm_add_streaming(${operation} ${name} "${assembly}")
    set(name ${name}_streaming)
  endif()
  set_property(GLOBAL APPEND PROPERTY HALNORM_KERNELS ${name})
endfunction()

# Writes a file that the runtime includes, or ./dev tune reads.
function(halnorm_write_list name rows)
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/generated/${name}" CONTENT "${rows}" @ONLY)
endfunction()

# Writes the source of an operation's rows in the kernel table (runtime/kernels/table.h). An
# operation that no target has, such as one for devices in a build without any, has one too.
function(halnorm_write_rows operation rows)
  halnorm_write_list(kernel_rows/${operation}.inc "${rows}")
  string(REGEX MATCHALL "HALNORM_KERNEL" count "${rows}")
  list(LENGTH count count)
  foreach(variant IN ITEMS small exact stream)
    set(${variant} nullptr)
    if(${operation}_${variant} IN_LIST ARGN)
      set(${variant} "&${operation}_${variant}")
    endif()
  endforeach()
  set(source "${PROJECT_BINARY_DIR}/generated/kernel_rows/${operation}.cpp")
  configure_file("${PROJECT_SOURCE_DIR}/runtime/kernels/rows.cpp.in" "${source}" @ONLY)
  set_property(GLOBAL APPEND PROPERTY HALNORM_ROW_SOURCES "${source}")
endfunction()

# Compiles all kernels for the chosen targets, and writes the lists that the runtime's table is
# made of.
function(halnorm_add_kernels)
  halnorm_chosen_targets(targets)
  halnorm_tuned_file(tuned)
  if(tuned)
    include("${tuned}")
  endif()
  message(STATUS "halnorm: kernels for ${targets}")
  list(GET targets -1 portable)
  halnorm_chosen_devices(${portable} devices)
  set(runtime_target ${HALNORM_HALIDE_TARGET_${portable}})
  set(rows "")
  foreach(device IN LISTS devices)
    string(APPEND runtime_target "-${HALNORM_DEVICE_FEATURES_${device}}")
    string(APPEND rows "HALNORM_DEVICE(${device}, ${HALNORM_DEVICE_TYPE_${device}})\n")
  endforeach()
  halnorm_write_list(halnorm_devices.inc "${rows}")
  add_halide_runtime(halnorm_halide_runtime NO_DEFAULT_TARGETS TARGETS ${runtime_target})
  halnorm_rename_runtime(halnorm_halide_runtime)
  set(rows "")
  foreach(target IN LISTS targets devices)
    string(APPEND rows "HALNORM_TARGET(${target})\n")
  endforeach()
  halnorm_write_list(halnorm_targets.inc "${rows}")
  set(operations ${HALNORM_SMALL_OPERATIONS} ${HALNORM_EXACT_OPERATIONS}
                 ${HALNORM_STREAM_OPERATIONS} ${HALNORM_DEVICE_OPERATIONS} ${HALNORM_OPERATIONS})
  set(names "")
  foreach(operation IN LISTS operations)
    string(APPEND names "HALNORM_OPERATION(${operation})\n")
    set(rows "")
    halnorm_dtypes_of(${operation} dtypes)
    # The portable kernels last: examples and tests take the last of the list.
    foreach(layout IN ITEMS c ncl nlc)
      foreach(dtype IN LISTS dtypes)
        foreach(target IN LISTS targets devices)
          halnorm_layouts_of(${operation} ${target} layouts)
          if(layout IN_LIST layouts)
            halnorm_add_kernel(${operation} ${layout} ${dtype} ${target})
            string(APPEND rows "HALNORM_KERNEL(${operation}, ${layout}, ${dtype}, ${target})\n")
          endif()
        endforeach()
      endforeach()
    endforeach()
    halnorm_write_rows(${operation} "${rows}" ${operations})
  endforeach()
  halnorm_write_list(halnorm_operations.inc "${names}")
  set(rows "")
  foreach(dtype IN LISTS HALNORM_DTYPES)
    string(APPEND rows "HALNORM_DTYPE(${dtype}, ${HALNORM_TYPE_${dtype}})\n")
  endforeach()
  halnorm_write_list(halnorm_dtypes.inc "${rows}")
  # How each is made, for ./dev tune: what it compiles differs from this by its constants alone.
  get_property(recipes GLOBAL PROPERTY HALNORM_RECIPES)
  list(JOIN recipes "\n" recipes)
  halnorm_write_list(halnorm_recipes.tsv "${recipes}\n")
  set(HALNORM_CHOSEN_TARGETS "${targets}" PARENT_SCOPE)
endfunction()
