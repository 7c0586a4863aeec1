#pragma once

#include "halnorm/version.h"

namespace halnorm::HALNORM_ABI::detail {

/// The default number of threads: the environment variable HL_NUM_THREADS if it is a number from 1
/// to 256, otherwise the CPUs of the affinity mask, limited by the CPU quota of the control groups.
/// The number is computed once.
int default_threads() noexcept;

/// The CPU quota of a process's control groups in CPUs, rounded up; 0 if there is none. `groups` is
/// /proc/self/cgroup, `root` the mount point of the control groups.
int cgroup_cpus(const char* groups, const char* root) noexcept;

}  // namespace halnorm::HALNORM_ABI::detail
