#pragma once

namespace halnorm::detail {

/// As many threads as this process may keep busy: the environment variable HL_NUM_THREADS if it is
/// a number from 1 to 256, otherwise the CPUs of its affinity mask, and no more than its control
/// groups have time for. Found out once.
int default_threads() noexcept;

/// How many CPUs the control groups of a process have time for, rounded up; 0 if they do not say.
/// `groups` is its /proc/self/cgroup, `root` where the groups' files are mounted.
int cgroup_cpus(const char* groups, const char* root) noexcept;

}  // namespace halnorm::detail
