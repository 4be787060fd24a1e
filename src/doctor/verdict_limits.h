/* Every constant of the verdict's rules, with its reason. The thresholds were tuned on the seeds
 * that bench/calibrate calls "tune"; the published rates are of other seeds. */
#ifndef WEIR_DOCTOR_VERDICT_LIMITS_H
#define WEIR_DOCTOR_VERDICT_LIMITS_H

/* Theil-Sen takes all pairs: at 1,024 samples 2 MiB of scratch and some milliseconds. */
#define WEIR_VERDICT_SAMPLES_MAX 1024u
/* Three parts of 20 samples each, and a first third that is warm-up and not judged. */
#define WEIR_VERDICT_SAMPLES_MIN 90u
/* Classes of one process that are judged together; the doctor knows fewer. */
#define WEIR_VERDICT_CLASSES_MAX 32u

/* A level is the median of this part of the samples (at 90: 7 of them). */
#define WEIR_VERDICT_LEVEL_PARTS 12u

/* Readings of a watch that may fail one after the other before it gives up: a metrics endpoint that
 * restarts. */
#define WEIR_WATCH_FAILURES_MAX 10u
/* A sample that took t is followed by at least so many t without: reading stops the other process
 * from changing its mappings. */
#define WEIR_WATCH_REST 9u
/* Metrics of a process: some MiB at the worst; a reading that takes longer is none. */
#define WEIR_METRICS_BYTES_MAX (8u << 20)
#define WEIR_METRICS_TIMEOUT_MS 5000
#define WEIR_METRIC_NAME_SIZE 256
#define WEIR_METRIC_PLACE_SIZE 1024
/* A recording: a month at one sample every 10 s with 20 classes is 130 MiB. */
#define WEIR_RECORD_BYTES_MAX (256u << 20)
#define WEIR_RECORD_LINE_MAX 8192u

/* One-sided error of a whole page: k classes get a k-th of it each. */
#define WEIR_VERDICT_ALPHA 0.01
#define WEIR_VERDICT_Z_95 1.959964
#define WEIR_VERDICT_MAD_TO_DEVIATION 1.4826
/* Neighbours on either side of a jump, whose medians are compared. */
#define WEIR_VERDICT_JUMP_SAMPLES 4u
/* Newey and West's bandwidth for the increments of a random walk: 4 (n / 100)^(2/9), rounded. */
#define WEIR_VERDICT_LONG_RUN_LAGS 4u

/* Troughs that a trend may stand on, and stretches between collapses (each is a whole cycle). */
#define WEIR_VERDICT_TROUGHS_MIN 20u
#define WEIR_VERDICT_CYCLES_MIN 8u
#define WEIR_VERDICT_WINDOW_MAX 8u
/* A collapse is a fall of so many times the scatter between neighbours. */
#define WEIR_VERDICT_COLLAPSE 5.0

/* "Lasting": a straight line has 1, a logarithm over this part of the watch about 0.7. */
#define WEIR_VERDICT_LASTING_MIN 0.65
/* The lower bound of a leak's slope is at least half of it. */
#define WEIR_VERDICT_CERTAIN_SHARE 0.5
/* And of one that is said with high confidence, this part. */
#define WEIR_VERDICT_SURE_SHARE 0.7
/* The last third of the watch still goes up at this share of the slope. */
#define WEIR_VERDICT_LAST_SLOPE_SHARE 0.4
/* And makes this share of what the first third made: less is the tail of a warm-up. */
#define WEIR_VERDICT_FIRST_THIRD_SHARE 0.25
/* Growth of which more than this share comes in jumps, each at least a tenth of it, is no trend. */
#define WEIR_VERDICT_JUMP_SHARE 0.5
#define WEIR_VERDICT_JUMP_LEAST 0.1
#define WEIR_VERDICT_STEP_EXPLAINS 0.5
/* Growth that its cause explains, and what of it the live bytes may have grown. */
#define WEIR_VERDICT_EXPLAINED 0.8
#define WEIR_VERDICT_LIVE_SHARE 0.2
/* A plateau's last rise against the one before; and what flat may still hide, of its level. */
#define WEIR_VERDICT_PLATEAU_SHARE 0.6
#define WEIR_VERDICT_FLAT_SHARE 0.05
/* Peaks above troughs against the range that independent noise would show. */
#define WEIR_VERDICT_CHURN_RATIO 3.0
/* Growth that the troughs' scatter may hide below churn, as a share of its amplitude. */
#define WEIR_VERDICT_CHURN_HIDES 1.0
/* A trim that gives back this share of what is free confirms retention. */
#define WEIR_VERDICT_PROBE_SHARE 0.5
/* The least slope that matters: per operation, and of the budget per hour. */
#define WEIR_VERDICT_BYTES_PER_OPERATION 1.0
#define WEIR_VERDICT_BUDGET_PER_HOUR 0.001
/* Samples that one series may lack before it is left aside. */
#define WEIR_VERDICT_GAPS_MAX 0.2

/* A first autocorrelation of so many standard errors is looked at further. */
#define WEIR_VERDICT_PERSISTENCE_Z 3.0

/* Growth that counts as none, as everywhere in Weir (docs/ARCHITECTURE.md). */
#define WEIR_VERDICT_FLOOR_BYTES (256.0 * 1024)
/* Resident memory is counted in pages; quieter than that nothing is. */
#define WEIR_VERDICT_PAGE_BYTES 4096.0

#endif
