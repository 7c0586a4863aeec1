#pragma once

#include <string>

#include "io/atomic_file.h"

/// @file
/// Temporary files beside a file that is being saved: ".halnorm-", a hash of that file's name, the
/// process, and a number. Each is locked (flock) while its writer lives, so that those of processes
/// that were killed can be told and removed.

namespace halnorm::safetensors {

/// The beginning of the names of temporary files for `name`.
std::string temporary_prefix(const std::string& name);

/// Creates and locks one in the folder, and sets `name`. Not open, with errno, if that fails.
Descriptor make_temporary(int folder, const std::string& prefix, mode_t mode, std::string& name);

/// Removes those in the folder that nobody is writing to any more.
void remove_abandoned(int folder, const std::string& prefix);

}  // namespace halnorm::safetensors
