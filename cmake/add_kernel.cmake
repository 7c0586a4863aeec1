# Makes one kernel, and the row of the table that lists it.

# The runtime checks the arguments of a kernel. For calls without the runtime a kernel can check its
# buffers itself, which is half of its code. The few kernels of devices always do.
option(HALNORM_KERNEL_CHECKS "Kernels check their buffers: for calls without the runtime" OFF)

set(HALNORM_RUNGEN "" CACHE STRING "Kernels to link with Halide's RunGen as <kernel>.rungen")

# A program that runs and times one kernel on given sizes; see docs/tuning.md.
function(halnorm_add_rungen kernel registration)
  add_executable(${kernel}.rungen "${halide_tools_dir}/RunGenMain.cpp" "${registration}")
  target_compile_features(${kernel}.rungen PRIVATE cxx_std_17)
  target_compile_definitions(${kernel}.rungen PRIVATE HALIDE_NO_PNG HALIDE_NO_JPEG)
  target_link_libraries(${kernel}.rungen PRIVATE ${kernel})
endfunction()

set(HALNORM_NONTEMPORAL assembly CACHE STRING
    "Non-temporal stores of data beyond the caches: assembly (rewritten after Halide) or off")
set_property(CACHE HALNORM_NONTEMPORAL PROPERTY STRINGS assembly off)
if(NOT HALNORM_NONTEMPORAL MATCHES "^(assembly|off)$")
  message(FATAL_ERROR "HALNORM_NONTEMPORAL is '${HALNORM_NONTEMPORAL}', wanted assembly or off")
endif()

# Makes the library of the kernel from its rewritten assembly: see nontemporal.cmake.
function(halnorm_add_nontemporal kernel assembly)
  set(rewritten "${CMAKE_CURRENT_BINARY_DIR}/${kernel}.nontemporal.s")
  set(script "${PROJECT_SOURCE_DIR}/cmake/nontemporal.cmake")
  add_custom_command(
    OUTPUT "${rewritten}"
    COMMAND "${CMAKE_COMMAND}" -D "from=${assembly}" -D "to=${rewritten}" -P "${script}"
    DEPENDS "${assembly}" "${script}"
    COMMENT "Non-temporal stores of ${kernel}"
    VERBATIM
  )
  add_library(${kernel}_nontemporal STATIC "${rewritten}")
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
  if(HALNORM_stores_${operation})
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
    halnorm_add_nontemporal(${name} "${assembly}")
    set(name ${name}_nontemporal)
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
  foreach(variant IN ITEMS single_pass exact nontemporal)
    set(${variant} nullptr)
    if(${operation}_${variant} IN_LIST HALNORM_ALL_OPERATIONS)
      set(${variant} "&${operation}_${variant}")
    endif()
  endforeach()
  halnorm_chosen_dtypes(dtypes)
  halnorm_is_chosen(${operation} is_chosen)
  set(HALNORM_TAKES_SCALAR OFF)
  if(is_chosen AND NOT "f64" IN_LIST dtypes)
    set(HALNORM_TAKES_SCALAR ON)
  endif()
  set(first_loop ${HALNORM_first_loop_${operation}})
  set(exact_values 0)
  if(HALNORM_exact_values_${operation})
    set(exact_values ${HALNORM_exact_values_${operation}})
  endif()
  set(source "${PROJECT_BINARY_DIR}/generated/kernel_rows/${operation}.cpp")
  configure_file("${PROJECT_SOURCE_DIR}/runtime/kernels/rows.cpp.in" "${source}" @ONLY)
  set_property(GLOBAL APPEND PROPERTY HALNORM_ROW_SOURCES "${source}")
endfunction()
