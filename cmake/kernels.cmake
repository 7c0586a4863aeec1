# The one list of kernels: what is not here is neither compiled, nor in the table, nor tested.

# The dtypes of data.
set(HALNORM_KNOWN_DTYPES f16 bf16 f32 f64)
# Each one's name, the same for Halide's compiler and for halnorm::name_of(DType).
set(HALNORM_TYPE_f16 float16)
set(HALNORM_TYPE_bf16 bfloat16)
set(HALNORM_TYPE_f32 float32)
set(HALNORM_TYPE_f64 float64)

# The operations. A base operation names its groups of HALNORM_OPERATIONS; with a base come its
# variants, the rows without groups whose names begin like its own, which take the same arguments:
#   _single_pass  few values: one launch on devices, one loop on CPUs.
#   _exact        channels of at most so many values (the column "values"), added up in double: the
#                 roundings of float32 would show in statistics (decision 001). float16 and bfloat16
#                 have fewer digits than the sums. train and moments have the same number, and so
#                 have backward and backward_reduce: the bits do not depend on which a plan takes.
#   _nontemporal  data beyond the caches: decisions 013 and 015.
# Variants of devices alone save launches: _with_running_stats also updates running statistics,
# _accumulate adds dweight and dbias to existing gradients.
#
# On CPUs training and backward in NLC, and large calls in NCL, take statistics and elements one
# after the other, as the split forms do. Large inference takes elemt. So training has split's
# operations too, and inference elemt. A fused training call on CPUs always takes two kernels. A
# fused backward is that of relu, then that of batch normalization: in one kernel they read as much,
# and from memory such a kernel was slower (docs/performance.md).
#
# First loop: how a kernel's first loop goes through its tasks. Sums come before what only writes,
# and left the end of the data in cache. Inference finds nothing there that its own threads left:
# side by side they take 2 to 10 % less than on ranges (an Intel Xeon, 2 threads, 3 to 10 MB).
#
# In the columns "any" layout is ncl and nlc, "all" is without a limit, "avx" is avx512 and avx2:
#    operation | layouts on CPUs | CPUs | layouts on devices | dtypes | values | first loop | groups
set(HALNORM_TABLE
  "batch_norm_train                       | ncl | all | any | all | -   | forwards | training"
  "batch_norm_train_single_pass           | nlc | all | any | all | -   | forwards | -"
  "batch_norm_train_exact                 | ncl | all | -   | f32 | 256 | forwards | -"
  "batch_norm_train_nontemporal           | ncl | avx | -   | all | -   | forwards | -"
  "batch_norm_train_with_running_stats    | -   | -   | any | all | -   | forwards | -"
  "batch_norm_train_with_running_stats_single_pass | -   | -   | any | all | -   | forwards | -"
  "batch_norm_infer                       | any | all | any | all | -   | side_by_side | inference"
  "batch_norm_backward                    | ncl | all | any | all | -   | forwards | training fused"
  "batch_norm_backward_single_pass        | nlc | all | any | all | -   | forwards | -"
  "batch_norm_backward_exact              | ncl | all | -   | f32 | 64  | forwards | -"
  "batch_norm_backward_nontemporal        | ncl | avx | -   | all | -   | forwards | -"
  "batch_norm_backward_accumulate         | -   | -   | any | all | -   | forwards | -"
  "batch_norm_backward_accumulate_single_pass | -   | -   | any | all | -   | forwards | -"
  "batch_norm_backward_infer              | any | all | any | all | -   | forwards | training fused"
  "batch_norm_moments                     | any | all | any | all | -   | forwards | fused split"
  "batch_norm_moments_exact               | any | all | -   | f32 | 256 | forwards | -"
  "batch_norm_moments_nontemporal         | any | avx | -   | all | -   | forwards | -"
  "batch_norm_elemt               | any | all | any | all | -   | backwards | inference fused split"
  "batch_norm_elemt_nontemporal           | any | avx | -   | all | -   | backwards | -"
  "batch_norm_backward_reduce             | any | all | any | all | -   | forwards | fused split"
  "batch_norm_backward_reduce_exact       | any | all | -   | f32 | 64  | forwards | -"
  "batch_norm_backward_reduce_nontemporal | any | avx | -   | all | -   | forwards | -"
  "batch_norm_backward_elemt              | any | all | any | all | -   | backwards | fused split"
  "batch_norm_backward_elemt_nontemporal  | any | avx | -   | all | -   | backwards | -"
  "batch_norm_fused_train                 | -   | -   | any | all | -   | forwards | fused"
  "batch_norm_fused_train_single_pass     | -   | -   | any | all | -   | forwards | -"
  "batch_norm_fused_train_with_running_stats | -   | -   | any | all | -   | forwards | -"
  "batch_norm_fused_train_with_running_stats_single_pass | - | - | any | all | - | forwards | -"
  "batch_norm_fused_infer                 | any | all | any | all | -   | side_by_side | fused"
  "batch_norm_fused_elemt                 | any | all | -   | all | -   | backwards | fused"
  "batch_norm_fused_elemt_nontemporal     | any | avx | -   | all | -   | backwards | -"
  "relu_backward                          | any | all | any | all | -   | forwards | fused"
  "relu_backward_nontemporal              | any | avx | -   | all | -   | forwards | -"
  "update_running_stats                  | c   | all | c   | f32 f64 | -   | forwards | fused split"
)
set(HALNORM_KNOWN_GROUPS inference training fused split)
set(HALNORM_ALL_OPERATIONS "")
set(HALNORM_BASE_OPERATIONS "")
foreach(row IN LISTS HALNORM_TABLE)
  string(REGEX REPLACE " *\\| *" ";" row "${row}")
  list(GET row 0 operation)
  list(APPEND HALNORM_ALL_OPERATIONS ${operation})
  set(place 0)
  foreach(column IN ITEMS cpu_layouts cpus device_layouts dtypes values walk groups)
    math(EXPR place "${place} + 1")
    list(GET row ${place} words)
    string(REPLACE " " ";" words "${words}")
    list(REMOVE_ITEM words -)
    list(TRANSFORM words REPLACE "^any$" "ncl;nlc")
    list(TRANSFORM words REPLACE "^avx$" "avx512;avx2")
    set(HALNORM_${column}_${operation} "${words}")
  endforeach()
  foreach(group IN LISTS HALNORM_groups_${operation})
    list(APPEND HALNORM_GROUP_${group} ${operation})
  endforeach()
  if(HALNORM_groups_${operation})
    list(APPEND HALNORM_BASE_OPERATIONS ${operation})
  endif()
endforeach()
list(APPEND HALNORM_GROUP_training ${HALNORM_GROUP_split})
include(choice)
include(add_kernel)

# No layout, no kernel.
function(halnorm_layouts_of operation target out)
  set(cpus ${HALNORM_cpus_${operation}})
  set(layouts "")
  halnorm_is_nontemporal(${operation} is_nontemporal)
  if(is_nontemporal AND HALNORM_NONTEMPORAL STREQUAL "off")
    set(cpus "")
  endif()
  if(DEFINED HALNORM_DEVICE_TYPE_${target})
    set(layouts ${HALNORM_device_layouts_${operation}})
  elseif(cpus STREQUAL "all" OR target IN_LIST cpus)
    set(layouts ${HALNORM_cpu_layouts_${operation}})
  endif()
  set(${out} "${layouts}" PARENT_SCOPE)
endfunction()

# None of an operation that is left out. update_running_stats knows no data, only statistics: its
# dtypes do not depend on the data's.
function(halnorm_dtypes_of operation out)
  halnorm_chosen_dtypes(dtypes)
  halnorm_is_chosen(${operation} is_chosen)
  set(own ${HALNORM_dtypes_${operation}})
  if(NOT is_chosen)
    set(dtypes "")
  elseif(operation STREQUAL "update_running_stats")
    set(dtypes ${own})
  elseif(NOT own STREQUAL "all")
    list(JOIN own "|" own)
    list(FILTER dtypes INCLUDE REGEX "^(${own})$")
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
          if(layout IN_LIST layouts)
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
