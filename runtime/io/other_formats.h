#pragma once

#include <filesystem>
#include <string>

#include "halnorm/version.h"

namespace halnorm::HALNORM_ABI::safetensors {

/// For a file that is no safetensors file, but has the name of another format: how it is converted,
/// as the end of a message. "" for other names.
std::string conversion_from(const std::filesystem::path& path);

}  // namespace halnorm::HALNORM_ABI::safetensors
