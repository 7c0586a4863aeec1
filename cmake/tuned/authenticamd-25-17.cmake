# AMD EPYC; written by ./dev tune.

# 0.976 (0.969..0.984) of the time with the schedule's own constants, 95 % interval;
# 14 shapes and thread counts, worst 1.008 at 64x256x512, threads: 1; 2026-11-24
set(HALNORM_TUNED_batch_norm_infer_ncl_f32_avx512 grain_size=32768)

# 0.979 (0.970..0.988) of the time with the schedule's own constants, 95 % interval;
# 22 shapes and thread counts, worst 1.034 at 64x512x7, threads: 2; 2026-11-24
set(HALNORM_TUNED_batch_norm_infer_nlc_f32_avx512 grain_size=65536)

# Not searched, but as all was measured on this CPU: its L3 gives a task's channels a second time as
# fast, and tasks bounded by L2 were up to a fifth slower, when neighbours went to either thread.
set(HALNORM_TUNED_batch_norm_train_ncl_f32_avx512 l2_bytes=16777216)
set(HALNORM_TUNED_batch_norm_backward_ncl_f32_avx512 l2_bytes=16777216)
