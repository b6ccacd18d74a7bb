// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernels.h"

#include <cstdint>
#include <cstring>
#include <map>

namespace shim {

bool read_image(const char* image, std::vector<std::string>& kernels) {
    if (std::strncmp(image,
                     "\x7f"
                     "ELFhost",
                     8) == 0)
        return kernels = kernel_names(), true;
    std::string text, prefix;
    if (std::strncmp(image,
                     "\x7f"
                     "ELF",
                     4) == 0) {
        std::uint64_t sections;  // which begin after everything else, the names of sections too
        std::memcpy(&sections, image + 40, sizeof sections);
        text.assign(image, sections), prefix = ".text.";
    } else {
        text = image, prefix = ".entry ";
        if (text.find(".version") == std::string::npos) return false;
    }
    for (const std::string& name : kernel_names()) {
        const std::size_t at = text.find(prefix + name), end = at + prefix.size() + name.size();
        if (at != std::string::npos && std::strchr("(\n", text[end]) != nullptr) kernels.push_back(name);
    }
    return true;
}

const char* error_name(int code) {
    static const std::map<int, const char*> names{{1, "CUDA_ERROR_INVALID_VALUE"},
                                                  {2, "CUDA_ERROR_OUT_OF_MEMORY"},
                                                  {46, "CUDA_ERROR_DEVICE_UNAVAILABLE"},
                                                  {200, "CUDA_ERROR_INVALID_IMAGE"},
                                                  {201, "CUDA_ERROR_INVALID_CONTEXT"},
                                                  {400, "CUDA_ERROR_INVALID_HANDLE"},
                                                  {500, "CUDA_ERROR_NOT_FOUND"},
                                                  {700, "CUDA_ERROR_ILLEGAL_ADDRESS"},
                                                  {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"},
                                                  {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"},
                                                  {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"}};
    const auto found = names.find(code);
    return found == names.end() ? nullptr : found->second;
}

}  // namespace shim
