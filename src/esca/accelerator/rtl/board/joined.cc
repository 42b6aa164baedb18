// Two compiled designs as one: a board's shell and the machine in it. The machine's clock rests
// while the shell neither writes constants nor has a run; nothing happens in it then.

#include <cstdint>
#include <vector>

using Run = void (*)(void *, uint64_t, const uint32_t *, uint32_t *);
using Peek = void (*)(void *, const uint32_t *, uint32_t *);

struct Copy { int32_t from, to, words; };

// Words of the shell's outputs.
struct Wake { int32_t constants, begin, leds; };

constexpr int AWAKE = 64;  // cycles behind the last reason for it
constexpr uint32_t BUSY = 2;

struct Joined {
    void *shell, *machine;
    Run shell_run, machine_run;
    Peek peek;
    std::vector<Copy> there, back;
    Wake wake;
    std::vector<uint32_t> in, out;
    int awake;
    uint64_t machine_cycles;
};

extern "C" {
void *joined_create(void *shell, Run shell_run, Peek peek, void *machine, Run machine_run,
                    uint64_t in_words, uint64_t out_words, const Copy *there, uint64_t theres,
                    const Copy *back, uint64_t backs, const Wake *wake) {
    return new Joined{shell, machine, shell_run, machine_run, peek, {there, there + theres},
                      {back, back + backs}, *wake, std::vector<uint32_t>(in_words),
                      std::vector<uint32_t>(out_words), 0, 0};
}
void joined_destroy(void *joined) { delete static_cast<Joined *>(joined); }
uint64_t joined_cycles(void *joined) { return static_cast<Joined *>(joined)->machine_cycles; }
void joined_run(void *joined, uint64_t, uint32_t *in, uint32_t *out) {  // one cycle
    Joined &mine = *static_cast<Joined *>(joined);
    mine.peek(mine.shell, in, out);
    for (const Copy &copy : mine.there)
        for (int i = 0; i < copy.words; i++) mine.in[copy.to + i] = out[copy.from + i];
    bool busy = out[mine.wake.leds] & BUSY;
    if (busy || (out[mine.wake.constants] & 1) || (out[mine.wake.begin] & 1)) mine.awake = AWAKE;
    if (mine.awake) {
        mine.awake--;
        mine.machine_cycles++;
        mine.machine_run(mine.machine, 1, mine.in.data(), mine.out.data());
    }
    for (const Copy &copy : mine.back)
        for (int i = 0; i < copy.words; i++) in[copy.to + i] = mine.out[copy.from + i];
    mine.shell_run(mine.shell, 1, in, out);
}
}
