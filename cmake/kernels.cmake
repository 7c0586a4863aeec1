# The one list of kernels: what is not here is neither compiled, nor in the table, nor tested.

# The dtypes of data.
set(HALNORM_KNOWN_DTYPES f16 bf16 f32 f64)
# Each one's name, the same for Halide's compiler and for halnorm::name_of(DType).
set(HALNORM_TYPE_f16 float16)
set(HALNORM_TYPE_bf16 bfloat16)
set(HALNORM_TYPE_f32 float32)
set(HALNORM_TYPE_f64 float64)

set(HALNORM_BASE_OPERATIONS
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

# The groups of HALNORM_OPERATIONS, and the operations that each takes with all their variants. Large
# calls of training and inference take statistics and elements one after the other, as the split
# forms do; fused training in place takes its moments first.
set(HALNORM_KNOWN_GROUPS inference training fused split)
set(HALNORM_GROUP_inference batch_norm_infer batch_norm_elemt)
set(HALNORM_GROUP_split
    batch_norm_moments
    batch_norm_elemt
    batch_norm_backward_reduce
    batch_norm_backward_elemt
    update_running_stats
)
set(HALNORM_GROUP_training batch_norm_train batch_norm_backward batch_norm_backward_infer
                           ${HALNORM_GROUP_split})
set(HALNORM_GROUP_fused
    batch_norm_fused_train
    batch_norm_fused_infer
    batch_norm_fused_backward
    batch_norm_fused_backward_infer
    batch_norm_moments
    update_running_stats
)
include(choice)
include(add_kernel)

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

# None of an operation that is left out. update_running_stats knows no data, only statistics, and
# those of narrow data are f32.
function(halnorm_dtypes_of operation out)
  halnorm_chosen_dtypes(dtypes)
  halnorm_is_chosen(${operation} is_chosen)
  if(NOT is_chosen)
    set(dtypes "")
  elseif(operation STREQUAL "update_running_stats")
    set(dtypes f32 f64)
  elseif(operation IN_LIST HALNORM_EXACT_OPERATIONS)
    list(FILTER dtypes INCLUDE REGEX "^f32$")
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
  set(operations ${HALNORM_SMALL_OPERATIONS} ${HALNORM_EXACT_OPERATIONS}
                 ${HALNORM_STREAM_OPERATIONS} ${HALNORM_DEVICE_OPERATIONS}
                 ${HALNORM_BASE_OPERATIONS})
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
  halnorm_write_choice("${operations}")
  # How each is made, for ./dev tune: what it compiles differs from this by its constants alone.
  get_property(recipes GLOBAL PROPERTY HALNORM_RECIPES)
  list(JOIN recipes "\n" recipes)
  halnorm_write_list(halnorm_recipes.tsv "${recipes}\n")
  set(HALNORM_CHOSEN_TARGETS "${targets}" PARENT_SCOPE)
endfunction()
