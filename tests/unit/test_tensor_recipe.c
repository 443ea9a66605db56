// SPDX-License-Identifier: Apache-2.0
// The text form of image recipes: canonical, strict, exact errors.
#include "tensor/image.h"
#include "test_tensor.h"

static bool same_recipe(const ap_image_recipe *a, const ap_image_recipe *b) {
    // Field by field: the padding between them may hold anything.
    return a->layout == b->layout && a->color == b->color && a->resize == b->resize && a->width == b->width &&
           a->height == b->height && a->scale == b->scale && memcmp(a->mean, b->mean, sizeof a->mean) == 0 &&
           memcmp(a->std, b->std, sizeof a->std) == 0 && a->pad == b->pad;
}

static void format_is(const char *in, const char *want) {
    ap_image_recipe r, again;
    ap_buf b = {0};
    must(ap_image_recipe_parse(in, &r));
    ap_image_recipe_format(&r, &b);
    assert_string_equal(ap_buf_str(&b), want);
    must(ap_image_recipe_parse(ap_buf_str(&b), &again));
    assert_true(same_recipe(&again, &r)); // parse . format . parse loses no bit
    ap_buf_free(&b);
}

static void texts(void **state) {
    (void)state;
    format_is("",
              "layout=nchw,color=rgb,resize=letterbox,size=input,scale=1/255,mean=0/0/0,std=1/1/1,pad=114");
    format_is("layout=nhwc,color=bgr,resize=stretch,size=320x240,scale=1,mean=0.485/0.456/0.406,"
              "std=0.229/0.224/0.225,pad=0",
              "layout=nhwc,color=bgr,resize=stretch,size=320x240,scale=1,mean=0.485/0.456/0.406,"
              "std=0.229/0.224/0.225,pad=0");
    format_is(
        "pad=0.1,std=2,mean=0.5,color=gray,resize=none,scale=-2/3",
        "layout=nchw,color=gray,resize=none,size=input,scale=-0.6666666666666666,mean=0.5/0.5/0.5,std=2/2/2,"
        "pad=0.1");
    format_is(
        "resize=crop,scale=0.00392156862745098,mean=1e-7/-1E+2/.5",
        "layout=nchw,color=rgb,resize=crop,size=input,scale=1/255,mean=1e-07/-1e+02/0.5,std=1/1/1,pad=114");
    format_is("scale=1e-320",
              "layout=nchw,color=rgb,resize=letterbox,size=input,scale=1e-320,mean=0/0/0,std=1/1/1,pad=114");
}

static void errors(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"layout=nhcw", "image recipe: layout=\"nhcw\" is not one of nchw, nhwc"},
        {"color=grey", "image recipe: color=\"grey\" is not one of rgb, bgr, gray"},
        {"resize=", "image recipe: resize=\"\" is not one of stretch, letterbox, crop, none"},
        {"size=320",
         "image recipe: size=\"320\" is not WIDTHxHEIGHT like 640x480 (sides 1 to 65535) or input"},
        {"size=0x4",
         "image recipe: size=\"0x4\" is not WIDTHxHEIGHT like 640x480 (sides 1 to 65535) or input"},
        {"size=4x65536",
         "image recipe: size=\"4x65536\" is not WIDTHxHEIGHT like 640x480 (sides 1 to 65535) or input"},
        {"size=4x4x4",
         "image recipe: size=\"4x4x4\" is not WIDTHxHEIGHT like 640x480 (sides 1 to 65535) or input"},
        {"scale=1/0", "image recipe: scale=\"1/0\" is not a number or a fraction like 1/255"},
        {"scale=1/2/3", "image recipe: scale=\"1/2/3\" is not a number or a fraction like 1/255"},
        {"scale=inf", "image recipe: scale=\"inf\" is not a number or a fraction like 1/255"},
        {"scale=0x1p3", "image recipe: scale=\"0x1p3\" is not a number or a fraction like 1/255"},
        {"scale=1e999", "image recipe: scale=\"1e999\" is not a number or a fraction like 1/255"},
        {"scale=0", "image recipe: scale=\"0\" is not a finite number other than 0"},
        {"mean=1/2", "image recipe: mean=\"1/2\" is not one number, or three like 0.5/0.4/0.3"},
        {"mean=1/2/3/4", "image recipe: mean=\"1/2/3/4\" is not one number, or three like 0.5/0.4/0.3"},
        {"mean=", "image recipe: mean=\"\" is not one number, or three like 0.5/0.4/0.3"},
        {"std=1/0/1", "image recipe: std=\"1/0/1\" is not a divisor: it holds a 0"},
        {"pad=256", "image recipe: pad=\"256\" is not a number from 0 to 255"},
        {"pad=-1", "image recipe: pad=\"-1\" is not a number from 0 to 255"},
        {"pad=1-1", "image recipe: pad=\"1-1\" is not a number from 0 to 255"},
        {"pad=1,pad=1", "image recipe: pad is given twice"},
        {"pad", "image recipe: \"pad\" is not key=value"},
        {"pad=1,,scale=1", "image recipe: \"\" is not key=value"},
        {"pad=1,", "image recipe: nothing stands behind the last comma"},
        {"siz=1x1", "image recipe: unknown key \"siz\"; the keys are layout, color, resize, size, scale, "
                    "mean, std, pad"},
        {" pad=1", "image recipe: unknown key \" pad\"; the keys are layout, color, resize, size, scale, "
                   "mean, std, pad"},
        {"=1",
         "image recipe: unknown key \"\"; the keys are layout, color, resize, size, scale, mean, std, pad"},
        {"pad=00000000000000000000000000000000000000000000000000000000000000000000001",
         "image recipe: pad=\"000000000000000000000000000000000000000000000000000000000000\" is not a number "
         "from 0 to 255"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ap_image_recipe r, before;
        memset(&r, 0x5A, sizeof r);
        before = r;
        must_fail(ap_image_recipe_parse(bad[i].text, &r), AP_ERR_USAGE, bad[i].message);
        assert_memory_equal(&r, &before, sizeof r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts), cmocka_unit_test(errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
