#include "io/other_formats.h"

#include <algorithm>
#include <string_view>

namespace halnorm::HALNORM_ABI::safetensors {

namespace {

struct OtherFormat {
  std::string_view extension;
  std::string_view name;
  std::string_view conversion;  ///< in Python
};

constexpr std::string_view torch =
    "safetensors.torch.save_file(torch.load(path, weights_only=True), \"weights.safetensors\") "
    "if it holds a state_dict";
constexpr std::string_view keras =
    "safetensors.numpy.save_file({v.path: v.numpy() for v in keras.models.load_model(path).weights}"
    ", \"weights.safetensors\")";
constexpr std::string_view onnx =
    "safetensors.numpy.save_file({t.name: onnx.numpy_helper.to_array(t) for t in "
    "onnx.load(path).graph.initializer}, \"weights.safetensors\")";

constexpr OtherFormat formats[] = {
    {".pt", "PyTorch", torch},  {".pth", "PyTorch", torch}, {".h5", "Keras (HDF5)", keras},
    {".keras", "Keras", keras}, {".onnx", "ONNX", onnx},
};

}  // namespace

std::string conversion_from(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  for (const OtherFormat& format : formats) {
    if (extension == format.extension) {
      return "; " + extension + " is a file of " + std::string(format.name) +
             ", wanted safetensors: convert it in Python with " + std::string(format.conversion) +
             " (docs/weights.md)";
    }
  }
  return {};
}

}  // namespace halnorm::HALNORM_ABI::safetensors
