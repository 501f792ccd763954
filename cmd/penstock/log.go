package main

import (
	"fmt"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"

	"github.com/penstock-cd/penstock/pkg/config"
)

// newLogger returns the process's logger and has client-go use it as well. Only a panic
// is logged with its stack, by pkg/crash.
func newLogger(settings config.Config) (logr.Logger, error) {
	level, err := zapcore.ParseLevel(settings.LogLevel)
	if err != nil {
		return logr.Logger{}, fmt.Errorf("parse LOG_LEVEL: %w", err)
	}
	zapConfig := zap.NewProductionConfig()
	zapConfig.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	if settings.LogFormat == "console" {
		zapConfig = zap.NewDevelopmentConfig()
	}
	zapConfig.DisableStacktrace = true
	zapConfig.Level = zap.NewAtomicLevelAt(level)
	zapConfig.Sampling = nil
	zapConfig.DisableCaller = true
	built, err := zapConfig.Build(zap.WrapCore(func(core zapcore.Core) zapcore.Core { return &quiet{Core: core, outages: &outages{}} }))
	if err != nil {
		return logr.Logger{}, fmt.Errorf("build logger: %w", err)
	}
	log := zapr.NewLogger(built)
	klog.SetLogger(log.WithName("client-go"))
	return log, nil
}
