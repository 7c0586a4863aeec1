#pragma once

#include <string>

#include "io/atomic_file.h"

/// @file
/// Temporary files in the folder of a file that is being saved. The name is ".halnorm-", a hash of
/// that file's name, the process and a number. The writer holds a lock (flock) on its file, so that
/// files of killed processes can be recognized and removed.

namespace halnorm::HALNORM_ABI::safetensors {

/// The beginning of the names of temporary files for `name`.
std::string temporary_prefix(const std::string& name);

/// Creates and locks a file in the folder, and sets `name`. If that fails: not open, errno is set.
Descriptor make_temporary(int folder, const std::string& prefix, mode_t mode, std::string& name);

/// Removes the temporary files in the folder that no process has locked.
void remove_abandoned(int folder, const std::string& prefix);

}  // namespace halnorm::HALNORM_ABI::safetensors
