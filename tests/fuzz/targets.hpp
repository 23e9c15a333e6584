#pragma once

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>

// What reads bytes from outside, each as a function of them that throws `wrong` if it did what it must not. A program
// of libFuzzer's calls one of them (entry.cpp), a test calls all of them with the inputs that are kept (replay.cpp).
namespace rangeio::fuzz {

class wrong : public std::logic_error {
public:
    using std::logic_error::logic_error;
};

inline void check(bool holds, const char* what) {
    if (!holds) throw wrong(what);
}

/// Takes a byte off the front; zero if there is none.
inline unsigned char take_byte(std::string_view& input) {
    if (input.empty()) return 0;
    const auto out = static_cast<unsigned char>(input.front());
    input.remove_prefix(1);
    return out;
}

/// Responses of BidiReadObject, in slices: protobuf's own parser says what they mean. First byte: size of a slice.
void response_decoder(std::string_view input);
/// Answers to questions for metadata: protobuf's own parser says what they mean.
void metadata_decoder(std::string_view input);
/// The end of a call: status, text and the trailer with details. First two bytes: the status, the length of the text.
void status_details(std::string_view input);
/// Ranges, URLs, sizes and times, as users of the command write them.
void command_text(std::string_view input);
/// Scripts of faults.
void fault_script(std::string_view input);
/// Programs of `rangeio-stress`.
void pool_program(std::string_view input);
/// Traces of `rangeio trace`.
void read_trace(std::string_view input);
/// What peers send the emulator: names, headers, page tokens, read handles. First byte: a number that is in some of it.
void emulator_text(std::string_view input);
/// What a service says to a stream, and what its user does meanwhile. First byte: the policy.
void hostile_service(std::string_view input);

struct target {
    std::string_view name;
    void (*run)(std::string_view input);
};

inline constexpr std::array targets{
    target{"response_decoder", &response_decoder},
    target{"metadata_decoder", &metadata_decoder},
    target{"status_details", &status_details},
    target{"command_text", &command_text},
    target{"fault_script", &fault_script},
    target{"pool_program", &pool_program},
    target{"read_trace", &read_trace},
    target{"emulator_text", &emulator_text},
    target{"hostile_service", &hostile_service},
};

}  // namespace rangeio::fuzz
