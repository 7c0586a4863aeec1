#include "kernels/data_types.h"

namespace halnorm::HALNORM_ABI::detail {

std::string data_dtype_names() {
  std::string text;
  for (std::size_t i = 0; i < std::size(data_dtypes); ++i) {
    const bool last = i + 1 == std::size(data_dtypes);
    text += (i == 0 ? "" : last ? " or " : ", ") + std::string(data_dtypes[i]);
  }
  return text;
}

}  // namespace halnorm::HALNORM_ABI::detail
