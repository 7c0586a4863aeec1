# Schedule constants that ./dev tune found, in one file per CPU model: cmake/tuned/<cpu>.cmake. Such
# a file sets HALNORM_TUNED_<operation>_<layout>_<dtype>_<target> to parameters of a generator,
# and HALNORM_TUNED_thresholds to thresholds of plans (runtime/plan/machine.h);
# docs/tuning.md says which ones change the bits of results.

if(PROJECT_IS_TOP_LEVEL)
  set(default_tuned auto)
else()
  set(default_tuned none) # a program's kernels do not depend on the machine that compiles them
endif()
set(HALNORM_TUNED ${default_tuned}
    CACHE STRING "auto: the file of this CPU, if there is one; none; or a name")

# Sets `out` to a name for this machine's CPU model such as authenticamd-25-17, or to "".
function(halnorm_cpu_model out)
  set(${out} "" PARENT_SCOPE)
  if(NOT EXISTS /proc/cpuinfo)
    return()
  endif()
  file(STRINGS /proc/cpuinfo lines REGEX "^(vendor_id|cpu family|model)[ \t]*:" LIMIT_COUNT 3)
  set(words "")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^[^:]*: *" "" word "${line}")
    list(APPEND words "${word}")
  endforeach()
  list(JOIN words "-" name)
  string(TOLOWER "${name}" name)
  set(${out} "${name}" PARENT_SCOPE)
endfunction()

# Sets `out` to the path of the file that HALNORM_TUNED stands for, or to "".
function(halnorm_tuned_file out)
  set(folder "${PROJECT_SOURCE_DIR}/cmake/tuned")
  set(${out} "" PARENT_SCOPE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${folder}")
  if(HALNORM_TUNED STREQUAL "none" OR (HALNORM_TUNED STREQUAL "auto" AND CMAKE_CROSSCOMPILING))
    return()
  endif()
  set(name "${HALNORM_TUNED}")
  if(name STREQUAL "auto")
    halnorm_cpu_model(name)
  elseif(NOT EXISTS "${folder}/${name}.cmake")
    message(FATAL_ERROR "HALNORM_TUNED: there is no ${folder}/${name}.cmake")
  endif()
  if(name AND EXISTS "${folder}/${name}.cmake")
    message(STATUS "halnorm: schedule constants tuned for ${name}")
    set(${out} "${folder}/${name}.cmake" PARENT_SCOPE)
  endif()
endfunction()
