# The one list of kernels: what is not here is neither compiled, nor in the table, nor tested.

# The dtypes of data.
set(HALNORM_KNOWN_DTYPES f16 bf16 f32 f64)
# Each one's name, the same for Halide's compiler and for halnorm::name_of(DType).
set(HALNORM_TYPE_f16 float16)
set(HALNORM_TYPE_bf16 bfloat16)
set(HALNORM_TYPE_f32 float32)
set(HALNORM_TYPE_f64 float64)

# The operations. halnorm_operation(<operation> ...) adds one with its kernels,
# halnorm_<operation>_<layout>_<dtype>__<target>:
#   GROUPS      the words of HALNORM_OPERATIONS that contain it.
#   CPUS        its layouts on CPUs: ncl, nlc; any, which is both; or c, one value per channel.
#   DEVICES     its layouts on devices.
#   FIRST_LOOP  how a kernel's first loop goes through its tasks. Sums come before what only writes,
#               and left the end of the data in cache. Inference finds nothing there that its own
#               threads left: side by side they take 2 to 10 % less than on ranges (an Intel Xeon, 2
#               threads, 3 to 10 MB).
# and those of its variants, halnorm_<operation>_<variant>_..., which take the same arguments:
#   CPU_SINGLE_PASS, DEVICE_SINGLE_PASS  layouts with a kernel for few values: one loop on CPUs, one
#                launch on devices.
#   EXACT        float32, channels of at most so many values, which are added up in double: the
#                roundings of float32 would show in statistics (decision 001). float16 and bfloat16
#                have fewer digits than the sums. train and moments have the same number, and so
#                have backward and backward_reduce: the bits do not depend on which a plan takes.
#   NONTEMPORAL  data beyond the caches, with avx512 and avx2: the kernel prefetches its inputs and,
#                if it writes data, has non-temporal stores (decisions 013 and 015): "prefetch" or
#                "stores".
# DEVICE_FORM is one that saves a launch on devices, with further arguments: with_running_stats also
# updates running statistics, accumulate adds dweight and dbias to existing gradients.
#
# On CPUs training and backward in NLC, and large calls in NCL, take statistics and elements one
# after the other, as the split forms do. Large inference takes elemt. So training has split's
# operations too, and inference elemt. A fused training call on CPUs always takes two kernels. A
# fused backward is that of relu, then that of batch normalization: in one kernel they read as much,
# and from memory such a kernel was slower (docs/performance.md).
set(HALNORM_KNOWN_GROUPS inference training fused split)
set(HALNORM_BASE_OPERATIONS "")
set(HALNORM_ALL_OPERATIONS "") # with their variants and forms

# What a variant or form is of, and where it has kernels.
macro(halnorm_kernels_of base name cpu_layouts cpus device_layouts dtypes)
  list(APPEND HALNORM_ALL_OPERATIONS ${name})
  set(HALNORM_base_${name} ${base})
  set(HALNORM_cpu_layouts_${name} ${cpu_layouts})
  set(HALNORM_cpus_${name} ${cpus})
  set(HALNORM_device_layouts_${name} ${device_layouts})
  set(HALNORM_dtypes_${name} ${dtypes})
  set(HALNORM_first_loop_${name} ${row_FIRST_LOOP})
endmacro()

macro(halnorm_operation name)
  set(layouts CPUS DEVICES CPU_SINGLE_PASS DEVICE_SINGLE_PASS)
  cmake_parse_arguments(
    row "" "FIRST_LOOP;EXACT;NONTEMPORAL;DEVICE_FORM" "GROUPS;${layouts}" ${ARGN}
  )
  if(row_UNPARSED_ARGUMENTS OR NOT row_FIRST_LOOP OR NOT row_GROUPS)
    message(FATAL_ERROR "halnorm_operation(${name}): got ${ARGN}, wanted the words above it")
  endif()
  foreach(columns IN LISTS layouts)
    string(REPLACE "any" "ncl;nlc" row_${columns} "${row_${columns}}")
  endforeach()
  list(APPEND HALNORM_BASE_OPERATIONS ${name})
  foreach(group IN LISTS row_GROUPS)
    list(APPEND HALNORM_GROUP_${group} ${name})
  endforeach()
  halnorm_kernels_of(${name} ${name} "${row_CPUS}" all "${row_DEVICES}" all)
  if(row_CPU_SINGLE_PASS OR row_DEVICE_SINGLE_PASS)
    halnorm_kernels_of(
      ${name} ${name}_single_pass "${row_CPU_SINGLE_PASS}" all "${row_DEVICE_SINGLE_PASS}" all
    )
  endif()
  if(row_EXACT)
    halnorm_kernels_of(${name} ${name}_exact "${row_CPUS}" all "" f32)
    set(HALNORM_exact_values_${name} ${row_EXACT})
  endif()
  if(row_NONTEMPORAL)
    halnorm_kernels_of(${name} ${name}_nontemporal "${row_CPUS}" "avx512;avx2" "" all)
    string(COMPARE EQUAL "${row_NONTEMPORAL}" stores HALNORM_stores_${name}_nontemporal)
  endif()
  if(row_DEVICE_FORM)
    set(form ${name}_${row_DEVICE_FORM})
    halnorm_kernels_of(${name} ${form} "" all "${row_DEVICES}" all)
    halnorm_kernels_of(${name} ${form}_single_pass "" all "${row_DEVICE_SINGLE_PASS}" all)
  endif()
endmacro()

halnorm_operation(
  batch_norm_train
  GROUPS training CPUS ncl DEVICES any FIRST_LOOP forwards
  CPU_SINGLE_PASS nlc DEVICE_SINGLE_PASS any EXACT 256 NONTEMPORAL stores
  DEVICE_FORM with_running_stats
)
halnorm_operation(
  batch_norm_infer
  GROUPS inference CPUS any DEVICES any FIRST_LOOP side_by_side
)
halnorm_operation(
  batch_norm_backward
  GROUPS training fused CPUS ncl DEVICES any FIRST_LOOP forwards
  CPU_SINGLE_PASS nlc DEVICE_SINGLE_PASS any EXACT 64 NONTEMPORAL stores
  DEVICE_FORM accumulate
)
halnorm_operation(
  batch_norm_backward_infer
  GROUPS training fused CPUS any DEVICES any FIRST_LOOP forwards
)
halnorm_operation(
  batch_norm_moments
  GROUPS fused split CPUS any DEVICES any FIRST_LOOP forwards
  EXACT 256 NONTEMPORAL prefetch
)
halnorm_operation(
  batch_norm_elemt
  GROUPS inference fused split CPUS any DEVICES any FIRST_LOOP backwards
  NONTEMPORAL stores
)
halnorm_operation(
  batch_norm_backward_reduce
  GROUPS fused split CPUS any DEVICES any FIRST_LOOP forwards
  EXACT 64 NONTEMPORAL prefetch
)
halnorm_operation(
  batch_norm_backward_elemt
  GROUPS fused split CPUS any DEVICES any FIRST_LOOP backwards
  NONTEMPORAL stores
)
halnorm_operation(
  batch_norm_fused_train
  GROUPS fused DEVICES any FIRST_LOOP forwards
  DEVICE_SINGLE_PASS any
  DEVICE_FORM with_running_stats
)
halnorm_operation(
  batch_norm_fused_infer
  GROUPS fused CPUS any DEVICES any FIRST_LOOP side_by_side
)
halnorm_operation(
  batch_norm_fused_elemt
  GROUPS fused CPUS any FIRST_LOOP backwards
  NONTEMPORAL stores
)
halnorm_operation(
  relu_backward
  GROUPS fused CPUS any DEVICES any FIRST_LOOP forwards
  NONTEMPORAL stores
)
halnorm_operation(
  update_running_stats
  GROUPS fused split CPUS c DEVICES c FIRST_LOOP forwards
)
list(APPEND HALNORM_GROUP_training ${HALNORM_GROUP_split})
include(choice)
include(add_kernel)

# No layout, no kernel.
function(halnorm_layouts_of operation target out)
  set(cpus ${HALNORM_cpus_${operation}})
  set(layouts "")
  if(HALNORM_stores_${operation} AND HALNORM_NONTEMPORAL STREQUAL "off")
    set(cpus "")
  endif()
  if(DEFINED HALNORM_DEVICE_TYPE_${target})
    set(layouts ${HALNORM_device_layouts_${operation}})
  elseif(cpus STREQUAL "all" OR target IN_LIST cpus)
    set(layouts ${HALNORM_cpu_layouts_${operation}})
  endif()
  set(${out} "${layouts}" PARENT_SCOPE)
endfunction()

# None of an operation that is left out. One without data has the dtypes of statistics, whatever the
# data's are.
function(halnorm_dtypes_of operation out)
  halnorm_chosen_dtypes(dtypes)
  halnorm_is_chosen(${operation} is_chosen)
  if(NOT is_chosen)
    set(dtypes "")
  elseif(HALNORM_cpu_layouts_${operation} STREQUAL "c")
    set(dtypes f32 f64)
  elseif(NOT HALNORM_dtypes_${operation} STREQUAL "all")
    list(FILTER dtypes INCLUDE REGEX "^${HALNORM_dtypes_${operation}}$")
  endif()
  set(${out} "${dtypes}" PARENT_SCOPE)
endfunction()

# Compiles all kernels for the chosen targets, and writes the lists that the runtime's table is
# made of.
function(halnorm_add_kernels)
  halnorm_chosen_targets(targets)
  halnorm_tuned_file(tuned)
  if(tuned)
    include("${tuned}")
  endif()
  list(TRANSFORM HALNORM_TUNED_thresholds REPLACE "^(.+)=(.+)$" "HALNORM_THRESHOLD(\\1, \\2)\n"
       OUTPUT_VARIABLE rows)
  list(JOIN rows "" rows)
  halnorm_write_list(halnorm_thresholds.inc "${rows}")
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
  set(names "")
  foreach(operation IN LISTS HALNORM_ALL_OPERATIONS)
    string(APPEND names "HALNORM_OPERATION(${operation})\n")
    set(rows "")
    halnorm_dtypes_of(${operation} dtypes)
    # The portable kernels last: examples and tests take the last of the list.
    foreach(layout IN ITEMS c ncl nlc)
      foreach(dtype IN LISTS dtypes)
        foreach(target IN LISTS targets devices)
          halnorm_layouts_of(${operation} ${target} layouts)
          halnorm_has_dtypes(${target} ${dtype} ${portable} has_dtype)
          if(layout IN_LIST layouts AND has_dtype)
            halnorm_add_kernel(${operation} ${layout} ${dtype} ${target})
            string(APPEND rows "HALNORM_KERNEL(${operation}, ${layout}, ${dtype}, ${target})\n")
          endif()
        endforeach()
      endforeach()
    endforeach()
    halnorm_write_rows(${operation} "${rows}")
  endforeach()
  halnorm_write_list(halnorm_operations.inc "${names}")
  halnorm_write_choice("${HALNORM_ALL_OPERATIONS}")
  # How each is made, for ./dev tune: what it compiles differs from this by its constants alone.
  get_property(recipes GLOBAL PROPERTY HALNORM_RECIPES)
  list(JOIN recipes "\n" recipes)
  halnorm_write_list(halnorm_recipes.tsv "${recipes}\n")
  set(HALNORM_CHOSEN_TARGETS "${targets}" PARENT_SCOPE)
endfunction()
