// What a call costs beside the kernel: an output that is new in each call beside one that is given,
// from 1 KB to 256 MB; and a call from C beside one from C++. The two of a pair are measured in
// turn, and the minimum of each is taken.

#include <halnorm/halnorm.h>
#include <halnorm/halnorm_c.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <limits>
#include <string>
#include <vector>

namespace {

namespace F = halnorm::functional;
using halnorm::Shape;
using halnorm::Tensor;

constexpr double eps = 1e-5;

template <class Call>
double seconds_of(int repeats, const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i) {
    call();
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / repeats;
}

/// Prints both minima in microseconds, and the second over the first.
template <class First, class Second>
void compare(const std::string& what, int rounds, int repeats, const First& first,
             const Second& second) {
  double one = std::numeric_limits<double>::infinity();
  double other = one;
  for (int round = 0; round < rounds; ++round) {
    one = std::min(one, seconds_of(repeats, first));
    other = std::min(other, seconds_of(repeats, second));
  }
  std::printf("%-32s %12.3f %12.3f %8.2f\n", what.c_str(), one * 1e6, other * 1e6, other / one);
}

void compare_outputs() {
  std::printf("inference, us                            given          new    ratio\n");
  for (std::int64_t kilobytes = 1; kilobytes <= (1 << 18); kilobytes *= 4) {
    const std::int64_t c = 16;
    const Tensor x = Tensor::randn({kilobytes * 256 / c, c}, 1);
    const Tensor mean = Tensor::zeros({c});
    const Tensor var = Tensor::ones({c});
    const Tensor out = Tensor::zeros(x.shape());
    const int repeats = static_cast<int>(std::max<std::int64_t>(1, (1 << 11) / kilobytes));
    const int rounds = static_cast<int>(std::clamp<std::int64_t>((1 << 18) / kilobytes, 7, 100));
    compare(
        std::to_string(kilobytes) + " KB", rounds, repeats,
        [&] { F::batch_norm_infer(x, mean, var, mean, mean, eps, out); },
        [&] { F::batch_norm_infer(x, mean, var, mean, mean, eps); });
  }
}

/// A tensor as C has it.
struct View {
  explicit View(const Tensor& t)
      : shape(t.shape()),
        tensor{t.raw_data(),
               {kDLCPU, 0},
               static_cast<int>(shape.size()),
               {kDLFloat, static_cast<std::uint8_t>(8 * halnorm::size_of(t.dtype())), 1},
               shape.data(),
               nullptr,
               0} {}
  Shape shape;
  DLTensor tensor;
};

void check(halnorm_status status) {
  if (status != HALNORM_OK) {
    throw std::runtime_error(halnorm_last_error());
  }
}

void compare_languages() {
  const std::int64_t c = 100;
  const Tensor x = Tensor::randn({20, c}, 1);
  const Tensor weight = Tensor::ones({c});
  const Tensor bias = Tensor::zeros({c});
  const Tensor mean = Tensor::zeros({c});
  const Tensor var = Tensor::ones({c});
  const Tensor y = Tensor::empty(x.shape());
  const Tensor batch_mean = Tensor::zeros({c}, halnorm::DType::Float64);
  const Tensor invstd = Tensor::ones({c}, halnorm::DType::Float64);
  View cx(x), cw(weight), cb(bias), cm(mean), cv(var), cy(y), cbm(batch_mean), ci(invstd);
  std::printf("(20, 100), us                              C++            C    ratio\n");
  compare(
      "inference", 300, 300, [&] { F::batch_norm_infer(x, mean, var, weight, bias, eps, y); },
      [&] {
        check(halnorm_batch_norm_infer(&cx.tensor, &cm.tensor, &cv.tensor, &cw.tensor, &cb.tensor,
                                       eps, &cy.tensor));
      });
  compare(
      "training", 300, 300,
      [&] { F::batch_norm_train_update(x, mean, var, weight, bias, 0.1, eps, y); },
      [&] {
        check(halnorm_batch_norm_train(&cx.tensor, &cw.tensor, &cb.tensor, &cm.tensor, &cv.tensor,
                                       0.1, eps, &cy.tensor, &cbm.tensor, &ci.tensor));
      });
  const Tensor dweight = Tensor::zeros({c});
  View cdw(dweight), cdb(bias);
  compare(
      "backward", 300, 300, [&] { F::batch_norm_backward(x, x, weight, batch_mean, invstd, y); },
      [&] {
        check(halnorm_batch_norm_backward(&cx.tensor, &cx.tensor, &cw.tensor, &cbm.tensor,
                                          &ci.tensor, &cy.tensor, &cdw.tensor, &cdb.tensor));
      });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    halnorm::set_num_threads(argc > 1 ? std::stoi(argv[1]) : 1);
    compare_languages();
    compare_outputs();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "call_costs: %s\n", error.what());
    return 1;
  }
}
