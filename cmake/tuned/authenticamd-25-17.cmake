# AMD EPYC; written by ./dev tune.

# 0.976 (0.969..0.984) of the time with the schedule's own constants, 95 % interval;
# 14 shapes and thread counts, worst 1.008 at 64x256x512, threads: 1; 2026-11-24
set(HALNORM_TUNED_batch_norm_infer_ncl_f32_avx512 grain_size=32768)

# 0.979 (0.970..0.988) of the time with the schedule's own constants, 95 % interval;
# 22 shapes and thread counts, worst 1.034 at 64x512x7, threads: 2; 2026-11-24
set(HALNORM_TUNED_batch_norm_infer_nlc_f32_avx512 grain_size=65536)

# Set by hand, not by the search: this CPU's L3 returns a task's channels as fast as L2. Tasks
# bounded by L2 take up to a fifth longer if neighbouring tasks run on different threads
# (docs/performance.md).
set(HALNORM_TUNED_batch_norm_train_ncl_f32_avx512 l2_bytes=16777216)
set(HALNORM_TUNED_batch_norm_backward_ncl_f32_avx512 l2_bytes=16777216)
