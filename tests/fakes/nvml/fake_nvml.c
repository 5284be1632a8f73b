/* A fake libnvidia-ml.so.1: enough of NVML's C interface to drive the real nvidia-ml-py without a GPU.
 *
 * Build:  cc -shared -fPIC -O1 -Wl,-soname,libnvidia-ml.so.1 -o DIR/libnvidia-ml.so.1 fake_nvml.c -lm
 *         add -DOLD_DRIVER for a driver from before nvmlDeviceGetFieldValues and the newer names of functions.
 * Use:    LD_LIBRARY_PATH=DIR FAKE_NVML_STATE=FILE python ...
 *
 * FILE is text, read again whenever it changes (write a new file and rename it over the old one). A missing key
 * has its default; "#" starts a comment. Without FILE there is one GPU of 50 W with a counter.
 *
 *   driver init=0 version=550.54.15
 *       init: the code that nvmlInit returns (9 not loaded, 18 version mismatch, 4 no permission, ...)
 *   gpu 0 watts=50 counter=1 instant=1 ...
 *       watts           power now (float)
 *       low_watts, wave_s
 *                       with wave_s > 0: a square wave, `watts` in the first half of each wave_s of
 *                       CLOCK_MONOTONIC and `low_watts` in the second half
 *       counter         1: nvmlDeviceGetTotalEnergyConsumption works, 0: NVML_ERROR_NOT_SUPPORTED
 *       energy_mj       >= 0: the counter stands at this value instead of following the power
 *       counter_factor  the counter counts this many times the energy used (default 1)
 *       power           0: nvmlDeviceGetPowerUsage and the power fields are not supported
 *       instant         0: the driver has no NVML_FI_DEV_POWER_INSTANT
 *       module          1: instantaneous power is there for the scope "module" only
 *       update_ms       the sensor renews its values at multiples of this (default 0: continuously)
 *       lost_after_s    seconds after nvmlInit at which every call returns NVML_ERROR_GPU_IS_LOST (-1: never)
 *       name, uuid      spaces in the name are written as underscores
 *       pci             its bus id, as 00000000:01:00.0 (default: bus 1 for GPU 0, and so on)
 *       arch            NVML_DEVICE_ARCH_*: 5 Volta, 7 Ampere, 9 Hopper (default)
 *       cc              compute capability times ten (default 90)
 *       caps_act        1: power limits that are set hold for all processes and cut the power (below, at the setter);
 *                       power is min(watts, limit) then, and the counter its exact integral
 *       persistence     1: persistence mode is on
 *       util, mem_util, memory_mb, used_mb, temp, sm_mhz, mem_mhz, limit_w, max_limit_w, reasons
 *       mig             1: MIG mode is on
 *   mig 0 uuid=MIG-... gi=1 ci=0 slices=2 sm=28      a MIG device of GPU 0
 *   proc 0 pid=123 mb=1000 sm=50 mig=-1              a process on GPU 0 (mig: on that MIG device of it, by order)
 *   fail 0 nvmlDeviceGetTemperature code=3 after_s=0 one call of GPU 0 that fails with a code from some time on
 *
 * The counter is the exact integral of the power: from CLOCK_MONOTONIC's zero with the first state read, and from the
 * moment that a change is seen onwards with the changed one. Two processes agree as long as the file does not change.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
       LOST = 15 };
enum { MAX_GPUS = 16, MAX_MIGS = 7, MAX_PROCS = 32, MAX_FAILS = 16 };

typedef struct { char uuid[96]; unsigned gi, ci, slices, sm; int parent; } mig_t;
typedef struct { unsigned pid, mb, sm; int mig; } proc_t;
typedef struct { char function[64]; int code; double after_s; } fail_t;
typedef struct {
    int present, counter, power, instant, module, mig, caps_act, persistence;
    double watts, low_watts, wave_s, energy_mj, counter_factor, update_ms, lost_after_s;
    char name[96], uuid[96], pci[32];
    unsigned arch, cc, util, mem_util, memory_mb, used_mb, temp, sm_mhz, mem_mhz, limit_w, max_limit_w, reasons;
    int n_migs, n_procs, n_fails;
    mig_t migs[MAX_MIGS];
    proc_t procs[MAX_PROCS];
    fail_t fails[MAX_FAILS];
    int index;
    double base_j, base_s; /* the counter's value when this state was read, and that moment */
} gpu_t;

static gpu_t gpus[MAX_GPUS];
static int n_gpus, init_code, initialised, loaded;
static char driver_version[80];
static double init_s;
static struct timespec seen_mtime;
static ino_t seen_inode;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* The moment that the sensor shows: the last multiple of its update period. */
static double shown_s(const gpu_t *g, double t) {
    double step = g->update_ms * 1e-3;
    return step > 0 ? floor(t / step) * step : t;
}

/* Limits that were set, of all processes: lines "<gpu> <mW> <s of CLOCK_MONOTONIC>" of FAKE_NVML_STATE.caps. */
enum { MAX_CAPS = 4096 };
typedef struct { int gpu; unsigned mw; double s; } cap_t;
static cap_t caps[MAX_CAPS];
static int n_caps;

static int caps_path(char *path, size_t size) {
    const char *state = getenv("FAKE_NVML_STATE");
    return state && snprintf(path, size, "%s.caps", state) < (int)size;
}

static void load_caps(void) {
    char path[4096], line[128];
    FILE *file = caps_path(path, sizeof path) ? fopen(path, "r") : NULL;
    n_caps = 0;
    if (!file) return;
    while (n_caps < MAX_CAPS && fgets(line, sizeof line, file)) {
        cap_t *c = &caps[n_caps];
        if (sscanf(line, "%d %u %lf", &c->gpu, &c->mw, &c->s) == 3) n_caps++;
    }
    fclose(file);
}

static unsigned limit_mw(const gpu_t *g, double t);

static double watts_at(const gpu_t *g, double t) {
    if (g->caps_act) return fmin(g->watts, limit_mw(g, t) / 1e3);
    if (g->wave_s <= 0) return g->watts;
    return fmod(t, g->wave_s) < g->wave_s / 2 ? g->watts : g->low_watts;
}

/* Integral of the power from 0 to t. */
static double joules_to(const gpu_t *g, double t) {
    if (g->caps_act) {
        double sum = 0, from = 0, watts = fmin(g->watts, g->limit_w);
        for (int i = 0; i < n_caps && caps[i].s < t; i++) {
            if (caps[i].gpu != g->index) continue;
            sum += watts * (caps[i].s - from);
            from = caps[i].s;
            watts = fmin(g->watts, caps[i].mw / 1e3);
        }
        return sum + watts * (t - from);
    }
    if (g->wave_s <= 0) return g->watts * t;
    double half = g->wave_s / 2, whole = floor(t / g->wave_s), rest = t - whole * g->wave_s;
    double high = rest < half ? rest : half;
    return (g->watts + g->low_watts) * half * whole + g->watts * high + g->low_watts * (rest - high);
}

static unsigned limit_mw(const gpu_t *g, double t) {
    unsigned mw = g->limit_w * 1000;
    for (int i = 0; g->caps_act && i < n_caps && caps[i].s <= t; i++)
        if (caps[i].gpu == g->index) mw = caps[i].mw;
    return mw;
}

static double joules(const gpu_t *g, double t) {
    if (t < g->base_s) t = g->base_s;
    return g->base_j + joules_to(g, t) - joules_to(g, g->base_s);
}

static void defaults(gpu_t *g, int index) {
    memset(g, 0, sizeof *g);
    g->index = index;
    g->present = g->counter = g->power = g->instant = 1;
    g->watts = 50;
    g->energy_mj = g->lost_after_s = -1;
    g->counter_factor = 1;
    snprintf(g->name, sizeof g->name, "NVIDIA Fake %d", index);
    snprintf(g->uuid, sizeof g->uuid, "GPU-%08x-0000-0000-0000-000000000000", 0xfa4e0000u + index);
    snprintf(g->pci, sizeof g->pci, "00000000:%02X:00.0", index + 1);
    g->arch = 9; g->cc = 90; g->util = 50; g->mem_util = 25; g->memory_mb = 81920; g->used_mb = 1024; g->temp = 40;
    g->sm_mhz = 1500; g->mem_mhz = 2600; g->limit_w = 400; g->max_limit_w = 500; g->reasons = 0;
}

/* The value of key=... in a line, or NULL; the value ends at white space. */
static const char *value_of(const char *line, const char *key, char *out, size_t size) {
    char pattern[64];
    snprintf(pattern, sizeof pattern, " %s=", key);
    const char *at = strstr(line, pattern);
    if (!at) return NULL;
    at += strlen(pattern);
    size_t n = strcspn(at, " \t\r\n");
    if (n >= size) n = size - 1;
    memcpy(out, at, n);
    out[n] = 0;
    return out;
}

static double number(const char *line, const char *key, double fallback) {
    char text[64];
    return value_of(line, key, text, sizeof text) ? strtod(text, NULL) : fallback;
}

static void text(const char *line, const char *key, char *out, size_t size) {
    char value[96];
    if (!value_of(line, key, value, sizeof value)) return;
    for (char *c = value; *c; c++) if (*c == '_') *c = ' ';
    snprintf(out, size, "%s", value);
}

static void parse_gpu(gpu_t *g, const char *l) {
    g->watts = number(l, "watts", g->watts);
    g->low_watts = number(l, "low_watts", g->low_watts);
    g->wave_s = number(l, "wave_s", g->wave_s);
    g->counter = number(l, "counter", g->counter);
    g->energy_mj = number(l, "energy_mj", g->energy_mj);
    g->counter_factor = number(l, "counter_factor", g->counter_factor);
    g->power = number(l, "power", g->power);
    g->instant = number(l, "instant", g->instant);
    g->module = number(l, "module", g->module);
    g->update_ms = number(l, "update_ms", g->update_ms);
    g->lost_after_s = number(l, "lost_after_s", g->lost_after_s);
    g->arch = number(l, "arch", g->arch);
    g->cc = number(l, "cc", g->cc);
    g->util = number(l, "util", g->util);
    g->mem_util = number(l, "mem_util", g->mem_util);
    g->memory_mb = number(l, "memory_mb", g->memory_mb);
    g->used_mb = number(l, "used_mb", g->used_mb);
    g->temp = number(l, "temp", g->temp);
    g->sm_mhz = number(l, "sm_mhz", g->sm_mhz);
    g->mem_mhz = number(l, "mem_mhz", g->mem_mhz);
    g->limit_w = number(l, "limit_w", g->limit_w);
    g->max_limit_w = number(l, "max_limit_w", g->max_limit_w);
    g->reasons = number(l, "reasons", g->reasons);
    g->mig = number(l, "mig", g->mig);
    g->caps_act = number(l, "caps_act", g->caps_act);
    g->persistence = number(l, "persistence", g->persistence);
    text(l, "name", g->name, sizeof g->name);
    text(l, "uuid", g->uuid, sizeof g->uuid);
    text(l, "pci", g->pci, sizeof g->pci);
}

static void parse_line(gpu_t *next, char *line) {
    char kind[16] = "", second[64] = "";
    char *comment = strchr(line, '#');
    if (comment) *comment = 0;
    if (sscanf(line, "%15s", kind) != 1) return;
    if (!strcmp(kind, "driver")) {
        init_code = number(line, "init", 0);
        text(line, "version", driver_version, sizeof driver_version);
        return;
    }
    int index = -1;
    sscanf(line, "%15s %d %63s", kind, &index, second);
    if (index < 0 || index >= MAX_GPUS) return;
    gpu_t *g = &next[index];
    if (!g->present) defaults(g, index);
    if (!strcmp(kind, "gpu")) {
        parse_gpu(g, line);
    } else if (!strcmp(kind, "mig") && g->n_migs < MAX_MIGS) {
        mig_t *m = &g->migs[g->n_migs++];
        snprintf(m->uuid, sizeof m->uuid, "MIG-%08x-0000-0000-0000-00000000000%d", 0xfa4e0000u + index, g->n_migs - 1);
        text(line, "uuid", m->uuid, sizeof m->uuid);
        m->gi = number(line, "gi", g->n_migs);
        m->ci = number(line, "ci", 0);
        m->slices = number(line, "slices", 1);
        m->sm = number(line, "sm", 14);
        m->parent = index;
    } else if (!strcmp(kind, "proc") && g->n_procs < MAX_PROCS) {
        proc_t *p = &g->procs[g->n_procs++];
        p->pid = number(line, "pid", 1);
        p->mb = number(line, "mb", 0);
        p->sm = number(line, "sm", 0);
        p->mig = number(line, "mig", -1);
    } else if (!strcmp(kind, "fail") && g->n_fails < MAX_FAILS) {
        fail_t *f = &g->fails[g->n_fails++];
        snprintf(f->function, sizeof f->function, "%s", second);
        f->code = number(line, "code", NOT_SUPPORTED);
        f->after_s = number(line, "after_s", 0);
    }
}

static void load(void) {
    const char *path = getenv("FAKE_NVML_STATE");
    struct stat st;
    FILE *file = NULL;
    if (path && *path) {
        if (stat(path, &st) != 0) return; /* between two versions of the file: keep the last state */
        if (loaded && st.st_mtim.tv_sec == seen_mtime.tv_sec && st.st_mtim.tv_nsec == seen_mtime.tv_nsec &&
            st.st_ino == seen_inode)
            return;
        file = fopen(path, "r");
        if (!file) return;
    } else if (loaded) {
        return;
    }
    static gpu_t next[MAX_GPUS];
    memset(next, 0, sizeof next);
    init_code = 0;
    snprintf(driver_version, sizeof driver_version, "550.54.15");
    if (file) {
        char line[1024];
        while (fgets(line, sizeof line, file)) parse_line(next, line);
        fclose(file);
        seen_mtime = st.st_mtim;
        seen_inode = st.st_ino;
    } else {
        defaults(&next[0], 0);
    }
    double t = now_s();
    n_gpus = 0;
    for (int i = 0; i < MAX_GPUS; i++) {
        if (!next[i].present) continue;
        n_gpus = i + 1;
        next[i].base_s = t;
        next[i].base_j = loaded && gpus[i].present ? joules(&gpus[i], t) : joules_to(&next[i], t);
    }
    for (int i = 0; i < n_gpus; i++)
        if (!next[i].present) defaults(&next[i], i);
    memcpy(gpus, next, sizeof gpus);
    loaded = 1;
}

static int is_mig(void *device) {
    char *at = device;
    if (at < (char *)gpus || at >= (char *)(gpus + MAX_GPUS)) return 0;
    gpu_t *g = &gpus[(at - (char *)gpus) / (long)sizeof(gpu_t)];
    return at >= (char *)g->migs && at < (char *)(g->migs + MAX_MIGS);
}

static gpu_t *board_of(void *device) {
    return is_mig(device) ? &gpus[((mig_t *)device)->parent] : (gpu_t *)device;
}

/* What every call on a device starts with: fresh state, and the failures that were asked for. */
static int enter(void *device, const char *function) {
    load();
    if (!initialised) return UNINITIALIZED;
    gpu_t *g = board_of(device);
    if (g < gpus || g >= gpus + n_gpus) return INVALID_ARGUMENT;
    if (g->caps_act) load_caps();
    double elapsed = now_s() - init_s;
    if (g->lost_after_s >= 0 && elapsed >= g->lost_after_s) return LOST;
    for (int i = 0; i < g->n_fails; i++)
        if (!strcmp(g->fails[i].function, function) && elapsed >= g->fails[i].after_s) return g->fails[i].code;
    return OK;
}

#define ENTER(device) \
    do { int code_ = enter(device, __func__); if (code_) return code_; } while (0)
#define BOARD_ONLY(device) \
    do { ENTER(device); if (is_mig(device)) return NOT_SUPPORTED; } while (0)
#define G ((gpu_t *)device)

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    load();
    if (init_code) return init_code;
    if (!initialised++) init_s = now_s();
    return OK;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlInit(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return initialised ? (initialised--, OK) : UNINITIALIZED; }

const char *nvmlErrorString(int code) {
    static char message[48];
    snprintf(message, sizeof message, "fake NVML error %d", code);
    return message;
}

static int copy(const char *from, char *to, unsigned size) {
    if (strlen(from) >= size) return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return OK;
}

int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    return initialised ? copy(driver_version, out, size) : UNINITIALIZED;
}
int nvmlSystemGetNVMLVersion(char *out, unsigned size) { return copy("12.550.54.15", out, size); }

int nvmlDeviceGetCount_v2(unsigned *count) {
    load();
    if (!initialised) return UNINITIALIZED;
    *count = n_gpus;
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    load();
    if (!initialised) return UNINITIALIZED;
    if (index >= (unsigned)n_gpus) return INVALID_ARGUMENT;
    *device = &gpus[index];
    return enter(*device, __func__);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    load();
    if (!initialised) return UNINITIALIZED;
    for (int i = 0; i < n_gpus; i++) {
        if (!strcmp(uuid, gpus[i].uuid)) return *device = &gpus[i], OK;
        for (int j = 0; j < gpus[i].n_migs; j++)
            if (!strcmp(uuid, gpus[i].migs[j].uuid)) return *device = &gpus[i].migs[j], OK;
    }
    return NOT_FOUND;
}

int nvmlDeviceGetName(void *device, char *out, unsigned size) { ENTER(device); return copy(board_of(device)->name, out, size); }
int nvmlDeviceGetUUID(void *device, char *out, unsigned size) {
    ENTER(device);
    return copy(is_mig(device) ? ((mig_t *)device)->uuid : G->uuid, out, size);
}
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_t;
int nvmlDeviceGetPciInfo_v3(void *device, pci_t *out) {
    BOARD_ONLY(device);
    memset(out, 0, sizeof *out);
    return copy(G->pci, out->bus_id, sizeof out->bus_id);
}
int nvmlDeviceGetIndex(void *device, unsigned *out) { BOARD_ONLY(device); *out = G - gpus; return OK; }
int nvmlDeviceGetArchitecture(void *device, unsigned *out) { BOARD_ONLY(device); *out = G->arch; return OK; }
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) {
    ENTER(device);
    *major = board_of(device)->cc / 10;
    *minor = board_of(device)->cc % 10;
    return OK;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
    BOARD_ONLY(device);
    if (!G->counter) return NOT_SUPPORTED;
    *millijoules = G->energy_mj >= 0 ? G->energy_mj : joules(G, shown_s(G, now_s())) * 1e3 * G->counter_factor;
    return OK;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
    BOARD_ONLY(device);
    if (!G->power) return NOT_SUPPORTED;
    *milliwatts = watts_at(G, shown_s(G, now_s())) * 1e3;
    return OK;
}

#ifndef OLD_DRIVER
typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency_us;
    uint32_t type;
    int32_t code;
    union { double d; uint32_t u; uint64_t ull; } value;
} field_t;

int nvmlDeviceGetFieldValues(void *device, int count, field_t *fields) {
    enum { ENERGY = 83, AVERAGE = 185, INSTANT = 186, UINT = 1, ULL = 3 };
    BOARD_ONLY(device);
    for (int i = 0; i < count; i++) {
        field_t *f = &fields[i];
        unsigned scope = G->module ? 1 : 0;
        struct timespec wall;
        clock_gettime(CLOCK_REALTIME, &wall);
        f->timestamp = wall.tv_sec * 1000000LL + wall.tv_nsec / 1000;
        f->code = NOT_SUPPORTED;
        if (f->field == ENERGY) {
            unsigned long long mj = 0;
            f->code = nvmlDeviceGetTotalEnergyConsumption(device, &mj);
            f->type = ULL;
            f->value.ull = mj;
        } else if ((f->field == AVERAGE || f->field == INSTANT) && G->instant && G->power && f->scope == scope) {
            f->code = OK;
            f->type = UINT;
            f->value.u = watts_at(G, shown_s(G, now_s())) * 1e3;
        }
    }
    return OK;
}

int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *out) {
    BOARD_ONLY(device);
    *out = G->reasons;
    return OK;
}
#endif

int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *out) {
    BOARD_ONLY(device);
    *out = G->reasons;
    return OK;
}

int nvmlDeviceGetUtilizationRates(void *device, unsigned out[2]) {
    BOARD_ONLY(device);
    if (G->mig) return NOT_SUPPORTED; /* as on a real board in MIG mode */
    out[0] = G->util;
    out[1] = G->mem_util;
    return OK;
}
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long out[3]) {
    ENTER(device);
    gpu_t *g = board_of(device);
    out[0] = (unsigned long long)g->memory_mb << 20;
    out[2] = (unsigned long long)g->used_mb << 20;
    out[1] = out[0] - out[2];
    return OK;
}
int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *out) {
    BOARD_ONLY(device);
    if (sensor) return NOT_SUPPORTED;
    *out = G->temp;
    return OK;
}
int nvmlDeviceGetClockInfo(void *device, unsigned type, unsigned *out) {
    BOARD_ONLY(device);
    *out = type == 2 ? G->mem_mhz : G->sm_mhz;
    return OK;
}
int nvmlDeviceGetPowerManagementLimit(void *device, unsigned *out) { BOARD_ONLY(device); *out = limit_mw(G, now_s()); return OK; }
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *out) { BOARD_ONLY(device); *out = limit_mw(G, now_s()); return OK; }
int nvmlDeviceGetPersistenceMode(void *device, int *out) { BOARD_ONLY(device); *out = G->persistence; return OK; }
int nvmlDeviceGetPowerManagementLimitConstraints(void *device, unsigned *low, unsigned *high) {
    BOARD_ONLY(device);
    *low = 100000;
    *high = G->max_limit_w * 1000;
    return OK;
}

/* Kept in this process, and noted in FAKE_NVML_STATE.caps, a line "<gpu> <mW>" each, for whoever wants to see it; with
 * caps_act the lines have the time too, and every process goes by them. */
int nvmlDeviceSetPowerManagementLimit(void *device, unsigned mw) {
    BOARD_ONLY(device);
    if (mw < 100000 || mw > G->max_limit_w * 1000) return INVALID_ARGUMENT;
    char path[4096];
    FILE *file = caps_path(path, sizeof path) ? fopen(path, "a") : NULL;
    if (G->caps_act) {
        if (file) fprintf(file, "%d %u %.9f\n", G->index, mw, now_s());
    } else {
        G->limit_w = mw / 1000;
        if (file) fprintf(file, "%d %u\n", G->index, mw);
    }
    if (file) fclose(file);
    return OK;
}

int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending) {
    BOARD_ONLY(device);
    if (G->arch < 7) return NOT_SUPPORTED;
    *current = *pending = G->mig;
    return OK;
}
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *count) { BOARD_ONLY(device); *count = MAX_MIGS; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **mig) {
    BOARD_ONLY(device);
    if (index >= (unsigned)G->n_migs) return NOT_FOUND;
    *mig = &G->migs[index];
    return OK;
}
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *device, void **board) {
    ENTER(device);
    if (!is_mig(device)) return INVALID_ARGUMENT;
    *board = board_of(device);
    return OK;
}
int nvmlDeviceGetGpuInstanceId(void *device, unsigned *out) {
    ENTER(device);
    if (!is_mig(device)) return NOT_SUPPORTED;
    *out = ((mig_t *)device)->gi;
    return OK;
}
int nvmlDeviceGetComputeInstanceId(void *device, unsigned *out) {
    ENTER(device);
    if (!is_mig(device)) return NOT_SUPPORTED;
    *out = ((mig_t *)device)->ci;
    return OK;
}

typedef struct {
    unsigned sm, copy, decoder, encoder, jpeg, ofa, gpu_slices, compute_slices;
    unsigned long long memory_mb;
} attributes_t;

int nvmlDeviceGetAttributes_v2(void *device, attributes_t *out) {
    ENTER(device);
    if (!is_mig(device)) return NOT_SUPPORTED;
    mig_t *m = device;
    memset(out, 0, sizeof *out);
    out->sm = m->sm;
    out->gpu_slices = out->compute_slices = m->slices;
    out->memory_mb = (unsigned long long)board_of(device)->memory_mb * m->slices / 8;
    return OK;
}

typedef struct { unsigned pid; unsigned long long bytes; unsigned gi, ci; } process_t;

static int processes(void *device, unsigned *count, process_t *out) {
    gpu_t *g = board_of(device);
    int here = is_mig(device) ? (int)((mig_t *)device - g->migs) : -1;
    unsigned n = 0, room = *count;
    for (int i = 0; i < g->n_procs; i++) {
        if (g->procs[i].mig != here) continue;
        if (out && n < room) out[n] = (process_t){g->procs[i].pid, (unsigned long long)g->procs[i].mb << 20, 0, 0};
        n++;
    }
    *count = n;
    return n > room || (n && !out) ? INSUFFICIENT_SIZE : OK;
}
int nvmlDeviceGetComputeRunningProcesses_v2(void *device, unsigned *count, process_t *out) {
    ENTER(device);
    return processes(device, count, out);
}
#ifndef OLD_DRIVER
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, process_t *out) {
    ENTER(device);
    return processes(device, count, out);
}
#endif

typedef struct { unsigned pid; unsigned long long time_us; unsigned sm, memory, encoder, decoder; } sample_t;

int nvmlDeviceGetProcessUtilization(void *device, sample_t *out, unsigned *count, unsigned long long since_us) {
    BOARD_ONLY(device);
    (void)since_us;
    if (G->mig) return NOT_SUPPORTED;
    if (!G->n_procs) return NOT_FOUND;
    unsigned room = *count;
    *count = G->n_procs;
    if (!out || room < (unsigned)G->n_procs) return INSUFFICIENT_SIZE;
    for (int i = 0; i < G->n_procs; i++)
        out[i] = (sample_t){G->procs[i].pid, since_us + 1, G->procs[i].sm, 0, 0, 0};
    return OK;
}
