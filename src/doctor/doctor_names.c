/* The tables of classes, confidences and rules, as names and texts. */
#include "base/check.h"
#include "doctor/doctor.h"

static const struct {
    const char *name;
    const char *text;
    bool is_generic;
} CLASSES[] = {
#define WEIR_DOCTOR_CLASS(id, name, text, generic) {name, text, generic},
#include "doctor/doctor_classes.def"
#undef WEIR_DOCTOR_CLASS
};

static const struct {
    const char *name;
    const char *text;
} RULES[] = {
#define WEIR_DOCTOR_RULE(id, name, class, confidence, match, argument, text) {name, text},
#include "doctor/doctor_rules.def"
#undef WEIR_DOCTOR_RULE
};

static const char *const CONFIDENCES[] = {"unknown", "geometry", "flags+geometry", "named",
                                          "confirmed"};

const char *weir_doctor_class_name(enum weir_doctor_class class)
{
    WEIR_ASSERT(class < WEIR_DOCTOR_CLASS_COUNT);
    return CLASSES[class].name;
}

const char *weir_doctor_class_text(enum weir_doctor_class class)
{
    WEIR_ASSERT(class < WEIR_DOCTOR_CLASS_COUNT);
    return CLASSES[class].text;
}

bool weir_doctor_class_is_generic(enum weir_doctor_class class)
{
    WEIR_ASSERT(class < WEIR_DOCTOR_CLASS_COUNT);
    return CLASSES[class].is_generic;
}

const char *weir_doctor_confidence_name(enum weir_doctor_confidence confidence)
{
    WEIR_ASSERT(confidence < WEIR_DOCTOR_CONFIDENCE_COUNT);
    return CONFIDENCES[confidence];
}

const char *weir_doctor_rule_name(enum weir_doctor_rule rule)
{
    WEIR_ASSERT(rule < WEIR_DOCTOR_RULE_COUNT);
    return RULES[rule].name;
}

const char *weir_doctor_rule_text(enum weir_doctor_rule rule)
{
    WEIR_ASSERT(rule < WEIR_DOCTOR_RULE_COUNT);
    return RULES[rule].text;
}
