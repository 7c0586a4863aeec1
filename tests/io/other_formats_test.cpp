#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "nn/fixture.h"
#include "support/temporary_folder.h"
#include "support/throws.h"

using fixture::contains;
using fixture::message_of;
using halnorm::LoadError;
using halnorm::Tensor;

namespace {

class OtherFormats : public TemporaryFolder {
 protected:
  [[nodiscard]] std::filesystem::path file(const std::string& name,
                                           const std::string& bytes) const {
    std::ofstream(folder / name, std::ios::binary) << bytes;
    return folder / name;
  }
};

const std::string zip("PK\3\4\0\0\0\0\0\0\0\0\0\0", 14);

}  // namespace

TEST_F(OtherFormats, AreRefusedWithTheWordsThatConvertThem) {
  const auto refuse = [&](const char* name, std::initializer_list<std::string_view> words) {
    expect_throws<LoadError>([&] { halnorm::load(file(name, zip)); }, words);
  };
  refuse("a.pt", {"a.pt'", ".pt is a file of PyTorch", "safetensors.torch.save_file(torch.load("});
  refuse("a.pth", {".pth is a file of PyTorch", "torch.load("});
  refuse("A.PTH", {".pth is a file of PyTorch"});
  refuse("a.h5", {".h5 is a file of Keras", "keras.models.load_model("});
  refuse("a.keras", {".keras is a file of Keras"});
  refuse("a.onnx", {".onnx is a file of ONNX", "onnx.numpy_helper.to_array("});
}

TEST_F(OtherFormats, OtherNamesGetNoSuchWords) {
  for (const char* name : {"a.safetensors", "a", "pt", ".pt", "a.pt.bin"}) {
    const auto text = message_of<LoadError>([&] { halnorm::load(file(name, zip)); });
    EXPECT_FALSE(contains(text, "is a file of")) << text;
  }
  const auto text = message_of<LoadError>([&] { halnorm::load(folder / "missing.pt"); });
  EXPECT_FALSE(contains(text, "is a file of")) << text;
}

TEST_F(OtherFormats, TheContentsCount) {
  halnorm::save({{"x", Tensor::ones({3})}}, folder / "a.pt");
  EXPECT_EQ(halnorm::load(folder / "a.pt").at("x").numel(), 3);
}
