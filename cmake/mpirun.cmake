# Tests start ranks with these options: as root too, on fewer cores than ranks, and without ssh.
find_package(MPI REQUIRED COMPONENTS CXX)
set(halnorm_mpirun
    "${MPIEXEC_EXECUTABLE}" --allow-run-as-root --oversubscribe --mca plm isolated
    --mca btl_vader_single_copy_mechanism none
)
# Sanitizers print full stacks, because OpenMPI has unloaded its modules when leaks are reported.
set(halnorm_mpi_environment
    "ASAN_OPTIONS=string_append::fast_unwind_on_malloc=0"
    "LSAN_OPTIONS=set:suppressions=${PROJECT_SOURCE_DIR}/tests/distributed/mpi/leak_sanitizer.supp"
)
