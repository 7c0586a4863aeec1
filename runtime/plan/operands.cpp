#include "plan/operands.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

std::optional<Epilogue> part_of(const std::optional<Epilogue>& relu, const Box& b) noexcept {
  return relu ? std::optional(Epilogue{relu->addend.part(b), relu->slope}) : std::nullopt;
}

/// x, the addend of an epilogue, and y.
template <class Forward>
Views data_of(const Forward& o) noexcept {
  return o.relu ? Views{o.x, o.relu->addend, o.y} : Views{o.x, o.y};
}

}  // namespace

Views UpdateOperands::data() const noexcept {
  const Channels& c = running_mean;
  return {View{static_cast<std::byte*>(c.data), c.dtype, Layout::c, 1, c.count, 1, c.count, 1,
               c.memory}};
}

Views MomentsOperands::data() const noexcept { return {x}; }

Views ElemtOperands::data() const noexcept { return data_of(*this); }

Views InferOperands::data() const noexcept { return data_of(*this); }

Views TrainOperands::data() const noexcept { return data_of(*this); }

Views ReduceOperands::data() const noexcept { return {x, dy}; }

Views BackwardElemtOperands::data() const noexcept { return {x, dy, dx}; }

Views BackwardOperands::data() const noexcept { return {x, dy, dx}; }

Views BackwardInferOperands::data() const noexcept { return {x, dy, dx}; }

Views ReluBackwardOperands::data() const noexcept { return {dy, y, dx}; }

MomentsOperands MomentsOperands::part(const Box& b) const noexcept {
  return {x.part(b), mean.part(b.first_c, b.c), m2.part(b.first_c, b.c)};
}

ElemtOperands ElemtOperands::part(const Box& b) const noexcept {
  return {x.part(b),
          weight.part(b.first_c, b.c),
          bias.part(b.first_c, b.c),
          mean.part(b.first_c, b.c),
          invstd.part(b.first_c, b.c),
          y.part(b),
          part_of(relu, b)};
}

InferOperands InferOperands::part(const Box& b) const noexcept {
  return {rows,
          x.part(b),
          running_mean.part(b.first_c, b.c),
          running_var.part(b.first_c, b.c),
          weight.part(b.first_c, b.c),
          bias.part(b.first_c, b.c),
          eps,
          y.part(b),
          part_of(relu, b)};
}

TrainOperands TrainOperands::part(const Box& b) const noexcept {
  return {rows,
          x.part(b),
          weight.part(b.first_c, b.c),
          bias.part(b.first_c, b.c),
          eps,
          y.part(b),
          mean.part(b.first_c, b.c),
          invstd.part(b.first_c, b.c),
          m2.part(b.first_c, b.c),
          nullptr,
          part_of(relu, b)};
}

ReduceOperands ReduceOperands::part(const Box& b) const noexcept {
  return {dy.part(b), x.part(b), mean.part(b.first_c, b.c), sum_dy.part(b.first_c, b.c),
          sum_dy_xmu.part(b.first_c, b.c)};
}

BackwardElemtOperands BackwardElemtOperands::part(const Box& b) const noexcept {
  return {dy.part(b),
          x.part(b),
          weight.part(b.first_c, b.c),
          mean.part(b.first_c, b.c),
          invstd.part(b.first_c, b.c),
          sum_dy.part(b.first_c, b.c),
          sum_dy_xmu.part(b.first_c, b.c),
          count,
          dx.part(b)};
}

BackwardOperands BackwardOperands::part(const Box& b) const noexcept {
  return {dy.part(b),
          x.part(b),
          weight.part(b.first_c, b.c),
          mean.part(b.first_c, b.c),
          invstd.part(b.first_c, b.c),
          dx.part(b),
          dweight.part(b.first_c, b.c),
          dbias.part(b.first_c, b.c)};
}

BackwardInferOperands BackwardInferOperands::part(const Box& b) const noexcept {
  return {dy.part(b),
          x.part(b),
          weight.part(b.first_c, b.c),
          running_mean.part(b.first_c, b.c),
          running_var.part(b.first_c, b.c),
          eps,
          dx.part(b),
          dweight.part(b.first_c, b.c),
          dbias.part(b.first_c, b.c)};
}

ReluBackwardOperands ReluBackwardOperands::part(const Box& b) const noexcept {
  return {dy.part(b), y.part(b), slope, dx.part(b)};
}

}  // namespace halnorm::HALNORM_ABI::detail
