#include "support/cases/random_view.h"

#include <algorithm>
#include <numeric>

#include "support/cases/element.h"

namespace {

constexpr std::size_t guard = 64;
constexpr std::byte mark{0xa5};

bool one_in(RandomView::Random& random, std::uint64_t n) { return random() % n == 0; }

}  // namespace

RandomView::RandomView(Random& random, const halnorm::Shape& shape, halnorm::DType dtype,
                       bool may_share)
    : shape_(shape), strides_(shape.size()), dtype_(dtype), size_(halnorm::size_of(dtype)) {
  choose_strides(random, may_share);
  std::int64_t before = 0;
  std::int64_t after = 0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t reach = strides_[axis] * (shape[axis] - 1);
    (reach < 0 ? before : after) += reach;
  }
  const std::size_t lead = guard + random() % 4;  // in elements: any alignment
  origin_ = (lead + static_cast<std::size_t>(-before)) * size_;
  memory_.assign(origin_ + (static_cast<std::size_t>(after + 1) + guard) * size_, mark);
}

void RandomView::choose_strides(Random& random, bool may_share) {
  std::vector<std::size_t> order(shape_.size());  // outermost in memory first
  std::iota(order.begin(), order.end(), std::size_t{0});
  const bool usual = one_in(random, 2);
  if (!usual) {
    std::shuffle(order.begin(), order.end(), random);
  } else if (one_in(random, 2)) {
    std::rotate(order.begin() + 1, order.begin() + 2, order.end());  // channels innermost
  }
  std::int64_t step = 1;
  std::reverse(order.begin(), order.end());
  for (const std::size_t axis : order) {
    if (!usual && one_in(random, 4)) {
      step += static_cast<std::int64_t>(random() % 3);
    }
    if (!usual && may_share && one_in(random, 6)) {
      strides_[axis] = 0;
      shares_ = shares_ || shape_[axis] > 1;
      continue;
    }
    strides_[axis] = !usual && one_in(random, 5) ? -step : step;
    step *= shape_[axis];
  }
}

halnorm::Tensor RandomView::tensor() {
  return halnorm::Tensor::from_blob(memory_.data() + origin_, shape_, dtype_, strides_);
}

std::vector<std::size_t> RandomView::places() const {
  std::vector<std::size_t> all;
  std::vector<std::int64_t> index(shape_.size(), 0);
  const std::int64_t count =
      std::accumulate(shape_.begin(), shape_.end(), std::int64_t{1}, std::multiplies<>());
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < index.size(); ++axis) {
      offset += index[axis] * strides_[axis];
    }
    all.push_back(origin_ + static_cast<std::size_t>(offset) * size_);
    for (std::size_t axis = index.size(); axis > 0; --axis) {
      if (++index[axis - 1] < shape_[axis - 1]) {
        break;
      }
      index[axis - 1] = 0;
    }
  }
  return all;
}

void RandomView::assign(const std::vector<double>& values) {
  std::size_t next = 0;
  for (const std::size_t place : places()) {
    element::store(dtype_, values.at(next++), memory_.data() + place);
  }
}

std::vector<double> RandomView::values() const {
  std::vector<double> all;
  for (const std::size_t place : places()) {
    all.push_back(element::load(dtype_, memory_.data() + place));
  }
  return all;
}

bool RandomView::surroundings_intact() const {
  std::vector<std::byte> rest = memory_;
  for (const std::size_t place : places()) {
    std::fill_n(rest.begin() + static_cast<std::ptrdiff_t>(place), size_, mark);
  }
  return std::all_of(rest.begin(), rest.end(), [](std::byte b) { return b == mark; });
}

std::string RandomView::str() const {
  std::string text = std::string(halnorm::name_of(dtype_)) + "(";
  for (std::size_t axis = 0; axis < shape_.size(); ++axis) {
    text += (axis == 0 ? "" : ", ") + std::to_string(shape_[axis]) + ":" +
            std::to_string(strides_[axis]);
  }
  return text + ")";
}
