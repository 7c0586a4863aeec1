#include "kernels/data_types.h"

namespace halnorm::detail {

std::string data_dtype_names() {
  std::string text;
  for (std::size_t i = 0; i < element_count; ++i) {
    const bool last = i + 1 == element_count;
    text += (i == 0 ? "" : last ? " or " : ", ") + std::string(element_types[i]);
  }
  return text;
}

}  // namespace halnorm::detail
